"""Control sequences by which a program says what it is doing."""

from __future__ import annotations

import pytest

from frith.model import SessionStatus, Source
from frith_status._marks import Kind, Mark, Marks

CALL = b"\x1b]777;notify;Build;it is done\x1b\\"
PROMPT = b"\x1b]133;A\x07$ \x1b]133;B\x07"


def told(output: bytes) -> list[Mark]:
    return Marks().feed(output)


@pytest.mark.parametrize("output", [CALL, PROMPT, b"\x07", b"a\x1b]9;4;1;50\x07b\x1b]9;4;0\x07"])
def test_a_mark_is_found_wherever_the_output_is_cut(output: bytes) -> None:
    whole = [(mark.kind, mark.conclusion) for mark in told(b"before" + output + b"after")]
    for cut in range(len(output) + 1):
        marks = Marks()
        pieces = marks.feed(b"before" + output[:cut]) + marks.feed(output[cut:] + b"after")
        assert [(mark.kind, mark.conclusion) for mark in pieces] == whole, cut
    marks = Marks()
    single = [mark for byte in output for mark in marks.feed(bytes([byte]))]
    assert [(mark.kind, mark.conclusion) for mark in single] == whole


@pytest.mark.parametrize(
    ("output", "status", "message"),
    [
        (b"\x1b]9;Done\x07", "waiting", "Done"),
        (CALL, "waiting", "Build: it is done"),
        (b"\x07", "waiting", None),
        (b"\x1b]133;A\x07", "waiting", None),
        (b"\x1b]633;B\x1b\\", "waiting", None),
        (b"\x1b]9;4;1;30\x07", "active", None),
        (b"\x1b]9;4;3\x07", "active", None),
        (b"\x1b]9;4;2;30\x07", "error", None),
        (b"\x1b]9;4;4\x07", "waiting", None),
    ],
)
def test_a_mark_tells_a_status(output: bytes, status: str, message: str | None) -> None:
    (mark,) = told(output)
    assert mark.conclusion is not None
    assert mark.conclusion.status is SessionStatus(status)
    assert mark.conclusion.source is Source.TOLD
    assert mark.conclusion.message == message


@pytest.mark.parametrize("output", [b"\x1b]133;C\x07", b"\x1b]133;D;0\x07", b"\x1b]9;4;0\x07"])
def test_a_command_that_runs_or_a_progress_that_is_over_takes_back_what_was_told(
    output: bytes,
) -> None:
    (mark,) = told(output)
    assert (mark.kind, mark.conclusion) == (Kind.OVER, None)


@pytest.mark.parametrize(
    "output",
    [
        b"\x1b]0;a title\x07",
        b"\x1b]8;;https://example.org\x1b\\",
        b"\x1b]9;9;/a/directory\x07",
        b"\x1b]9;12\x07",
        b"\x1b]777;other;thing\x07",
        b"\x1b[31mred\x1b[0m",
        b"\x1b]9;" + b"x" * 5000 + b"\x1b\\",
    ],
)
def test_other_sequences_tell_nothing(output: bytes) -> None:
    assert told(output) == []


def test_the_bell_that_ends_a_sequence_calls_nobody_even_when_it_comes_later() -> None:
    marks = Marks()
    assert marks.feed(b"\x1b]0;a title") == []
    assert marks.feed(b"\x07") == []


def test_nothing_is_kept_of_a_sequence_that_never_ends() -> None:
    marks = Marks()
    for _ in range(1000):
        marks.feed(b"\x1b]9;" + b"x" * 1000)
    assert len(marks._rest) < 5000


def test_a_sequence_is_not_joined_across_output_that_was_missed() -> None:
    marks = Marks()
    marks.feed(b"\x1b]9;May I")
    marks.lost()
    assert marks.feed(b" continue?\x1b\\") == []


def test_where_a_mark_ends_is_counted_in_the_piece_that_ends_it() -> None:
    marks = Marks()
    marks.feed(b"\x1b]9;Do")
    (mark,) = marks.feed(b"ne\x07rest")
    assert mark.end == 3


def test_of_many_bells_the_last_is_told_and_none_that_ends_a_sequence() -> None:
    output = b"\x07\x07a\x07\x1b]0;title\x07\x1b]9;Done\x07"
    assert [(mark.kind, mark.end) for mark in told(output)] == [
        (Kind.BELL, 4),
        (Kind.CALL, len(output)),
    ]
