"""Destroying a session: what is at stake is said, and nothing goes unasked."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from .conftest import Frith, Git, OnTerminal

pytestmark = pytest.mark.expensive("starts the command as a process")


@pytest.fixture
def worktree(frith: Frith) -> Path:
    """The worktree of a session called ``one``."""
    created = frith("new", "one", "--no-attach", "--json")
    return Path(created.json["worktreePath"])


@pytest.fixture
def precious(worktree: Path) -> Path:
    """A file in it that exists nowhere else."""
    file = worktree / "precious.txt"
    file.write_text("Written last night.\n")
    return file


@pytest.mark.requirement("R2.7")
def test_rm_without_cleanup_keeps_worktree_and_branch(
    frith: Frith, repository: Path, precious: Path, git: Git
) -> None:
    removed = frith("rm", "one")
    assert removed.code == 0
    assert str(precious.parent) in removed.err
    assert precious.exists()
    assert git(repository, "branch", "--list", "feature/one")
    assert frith("ls", "--json").json == []


def test_rm_with_cleanup_keeps_the_branch(
    frith: Frith, repository: Path, worktree: Path, git: Git
) -> None:
    assert frith("rm", "one", "--cleanup").code == 0
    assert not worktree.exists()
    assert git(repository, "branch", "--list", "feature/one")


@pytest.mark.requirement("R2.8")
def test_without_a_terminal_rm_refuses_to_destroy_work(frith: Frith, precious: Path) -> None:
    refused = frith("rm", "one", "--cleanup")
    assert refused.code == 1
    assert "precious.txt" in refused.err
    assert refused.err.endswith("[WORK_AT_STAKE]\n")
    assert precious.exists()


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\x04", 1)])
def test_on_a_terminal_rm_lists_the_work_and_asks(
    on_terminal: OnTerminal, precious: Path, answer: bytes, code: int
) -> None:
    terminal = on_terminal("rm", "one", "--cleanup")
    terminal.expect(b"untracked: precious.txt")
    terminal.expect(b"[y/N]")
    terminal.type(answer)
    assert terminal.end() == code
    assert precious.exists() == (code == 1)


def test_interrupting_the_question_destroys_nothing(
    frith: Frith, on_terminal: OnTerminal, precious: Path
) -> None:
    terminal = on_terminal("rm", "one", "--cleanup")
    terminal.expect(b"[y/N]")
    terminal.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert terminal.shown.rstrip().endswith(b"[y/N]")
    assert precious.exists()
    assert frith("show", "one").code == 0


def test_rm_lists_an_operation_in_progress(
    on_terminal: OnTerminal, worktree: Path, git: Git
) -> None:
    git(worktree, "bisect", "start")
    terminal = on_terminal("rm", "one", "--cleanup")
    terminal.expect(b"in progress: bisect")
    terminal.type(b"n\n")
    assert terminal.end() == 1


def test_rm_with_force_does_not_ask(frith: Frith, on_terminal: OnTerminal, precious: Path) -> None:
    terminal = on_terminal("rm", "one", "--cleanup", "--force")
    assert terminal.end() == 0
    assert b"[y/N]" not in terminal.shown
    assert not precious.exists()


@pytest.mark.requirement("R2.9")
def test_rm_with_force_keeps_a_nested_worktree(frith: Frith, worktree: Path, git: Git) -> None:
    git(worktree, "worktree", "add", "-q", "-b", "nested", str(worktree / "nested"))
    refused = frith("rm", "one", "--cleanup", "--force")
    assert refused.code == 1
    assert refused.err.endswith("[REMOVAL_BLOCKED]\n")
    assert (worktree / "nested" / "README").exists()
