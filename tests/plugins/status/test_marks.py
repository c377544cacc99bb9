"""Control sequences with which a program reports its status."""

from __future__ import annotations

import pytest

from frith.model import SessionStatus, Source
from frith_status.marks import Kind, Mark, Marks

CALL = b"\x1b]777;notify;Build;it is done\x1b\\"
PROMPT = b"\x1b]133;A\x07$ \x1b]133;B\x07"


def marks_in(output: bytes) -> list[Mark]:
    return Marks().feed(output)


@pytest.mark.parametrize("output", [CALL, PROMPT, b"\x07", b"a\x1b]9;4;1;50\x07b\x1b]9;4;0\x07"])
def test_a_mark_is_found_wherever_the_output_is_cut(output: bytes) -> None:
    whole = [(mark.kind, mark.conclusion) for mark in marks_in(b"before" + output + b"after")]
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
def test_a_mark_reports_a_status(output: bytes, status: str, message: str | None) -> None:
    (mark,) = marks_in(output)
    assert mark.conclusion is not None
    assert mark.conclusion.status is SessionStatus(status)
    assert mark.conclusion.source is Source.TOLD
    assert mark.conclusion.message == message


@pytest.mark.parametrize("output", [b"\x1b]133;C\x07", b"\x1b]133;D;0\x07", b"\x1b]9;4;0\x07"])
def test_a_started_command_and_finished_progress_end_the_report(
    output: bytes,
) -> None:
    (mark,) = marks_in(output)
    assert (mark.kind, mark.conclusion) == (Kind.END, None)


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
def test_other_sequences_are_not_marks(output: bytes) -> None:
    assert marks_in(output) == []


def test_a_bell_that_ends_a_sequence_is_not_a_call_even_in_a_later_chunk() -> None:
    marks = Marks()
    assert marks.feed(b"\x1b]0;a title") == []
    assert marks.feed(b"\x07") == []


def test_a_sequence_that_never_ends_is_dropped() -> None:
    marks = Marks()
    for _ in range(1000):
        marks.feed(b"\x1b]9;" + b"x" * 1000)
    assert len(marks._rest) < 5000


def test_a_sequence_is_not_joined_across_missed_output() -> None:
    marks = Marks()
    marks.feed(b"\x1b]9;May I")
    marks.reset()
    assert marks.feed(b" continue?\x1b\\") == []


def test_the_end_of_a_mark_is_relative_to_its_last_chunk() -> None:
    marks = Marks()
    marks.feed(b"\x1b]9;Do")
    (mark,) = marks.feed(b"ne\x07rest")
    assert mark.end == 3


def test_only_the_last_of_several_bells_is_a_mark() -> None:
    output = b"\x07\x07a\x07\x1b]0;title\x07\x1b]9;Done\x07"
    assert [(mark.kind, mark.end) for mark in marks_in(output)] == [
        (Kind.BELL, 4),
        (Kind.CALL, len(output)),
    ]
