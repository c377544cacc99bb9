"""Terminals of sessions that would show themselves, directly or through others."""

from __future__ import annotations

import anyio
import pytest

from frith.model import Session, SessionStatus, now
from frith_cli.attach import shown_in_itself
from frith_cli.attach.shown_in_itself import Mark, ShownInItselfError, without_marks
from waiting import wait_until

from .conftest import Frith, OnTerminal

SHELL = ("--detach", "--", "sh")
SESSION = Session(
    id="0b5fca3e-58a3-4d2c-9d2b-2c9c1b0e7a11",
    name="one",
    status=SessionStatus.ACTIVE,
    branch="feature/one",
    worktree_path="/workspace/.worktrees/one",
    created_at=now(),
    last_activity=now(),
)


@pytest.fixture
async def mark() -> Mark:
    return Mark(SESSION)


@pytest.fixture
async def other() -> bytes:
    """The mark of another terminal."""
    return Mark(SESSION).sequence


async def test_a_mark_is_found_wherever_the_output_is_cut() -> None:
    for at in range(len(Mark(SESSION).sequence)):
        mark = Mark(SESSION)
        assert mark.look(b"text" + mark.sequence[:at]) == b""
        with pytest.raises(ShownInItselfError) as caught:
            mark.look(mark.sequence[at:] + b"text")
        assert caught.value.session_id == SESSION.id


async def test_other_marks_are_returned_once_wherever_the_output_is_cut(
    mark: Mark, other: bytes
) -> None:
    output = b"text" + other + b"\x1b]0;title\x07" + other + b"text"
    for at in range(len(output)):
        assert mark.look(output[:at]) + mark.look(output[at:]) == 2 * other
    assert mark.look(b"\x1b]7709;none\x07") == b""


async def test_a_mark_that_comes_back_later_is_not_a_loop(
    mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence, later = mark.sequence, anyio.current_time() + 60
    monkeypatch.setattr(shown_in_itself, "current_time", lambda: later)
    assert mark.sequence == b""
    assert mark.look(sequence) == sequence


async def test_marks_are_removed_from_the_scrollback(mark: Mark, other: bytes) -> None:
    assert without_marks(b"a" + mark.sequence + b"b" + other) == b"ab"


@pytest.mark.expensive("starts the command as a process")
def test_a_session_is_not_attached_within_itself(
    frith: Frith, on_terminal: OnTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = frith("new", "one", *SHELL).out.strip()
    monkeypatch.setenv("FRITH_SESSION_ID", id_)
    within = on_terminal("attach", "one")
    within.expect(b"unset FRITH_SESSION_ID. [SHOWN_IN_ITSELF]")
    assert within.end() == 1


@pytest.mark.expensive("starts the command as a process")
@pytest.mark.parametrize("show", ["attach", "attach --read-only", "tail -f"])
def test_a_session_is_not_shown_in_one_that_it_shows(frith: Frith, show: str) -> None:
    for name in ("one", "two"):
        frith("new", name, *SHELL)
    frith("send", "one", f"frith {show} two; echo on'e is' back")
    frith("send", "two", "echo two is' shown'")
    wait_until(lambda: "two is shown" in frith("tail", "one").out)
    frith("send", "two", f"frith {show} one")
    wait_until(lambda: "[SHOWN_IN_ITSELF]" in frith("tail", "two").out)
    outputs = [frith("tail", name).out for name in ("one", "two")]
    assert "7709" not in "".join(outputs)
    assert "one is back" not in outputs[0], "the terminal was refused that closed the loop"
    assert all(len(output) < 20_000 for output in outputs)


@pytest.mark.expensive("starts the command as a process")
def test_the_output_of_a_session_is_not_followed_in_its_own_terminal(frith: Frith) -> None:
    frith("new", "one", *SHELL)
    frith("send", "one", "frith tail -f one")
    wait_until(lambda: "[SHOWN_IN_ITSELF]" in frith("tail", "one").out)
    assert len(frith("tail", "one").out) < 20_000
