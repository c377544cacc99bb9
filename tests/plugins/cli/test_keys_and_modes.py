"""What the command makes of the keys and the escape sequences that pass through it."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frith_cli.attach.keys import NAMES, DetachKey, Press, UnknownKeyError, key_name, sent_for
from frith_cli.attach.modes import Modes
from frith_cli.attach.tty import CANCEL

KEY = b"\x1d"


def _left_by(*output: bytes) -> bytes:
    modes = Modes()
    for piece in output:
        modes.feed(piece)
    return modes.leave()


@given(st.binary(max_size=200))
def test_input_other_than_the_detach_key_is_passed_on_in_order(typed: bytes) -> None:
    passed = b"".join(p for p in DetachKey(KEY, asks=True).feed(typed) if isinstance(p, bytes))
    assert passed == typed.replace(KEY, b"")


def test_pressing_the_detach_key_twice_detaches() -> None:
    assert list(DetachKey(KEY, asks=True).feed(b"a" + KEY + KEY)) == [
        b"a",
        Press.ASK,
        Press.DETACH,
    ]


def test_the_detach_key_asks_again_after_another_key() -> None:
    key = DetachKey(KEY, asks=True)
    assert list(key.feed(KEY + b"a" + KEY)) == [Press.ASK, b"a", Press.ASK]


def test_a_detach_key_that_does_not_ask_detaches_at_once() -> None:
    assert list(DetachKey(KEY, asks=False).feed(KEY)) == [Press.DETACH]


@pytest.mark.parametrize("spelled", [b"\x1b[93;5u", b"\x1b[93;5:1u", b"\x1b[27;5;93~"])
def test_the_detach_key_is_found_in_other_keyboard_protocols(spelled: bytes) -> None:
    assert list(DetachKey(KEY, asks=False).feed(spelled)) == [Press.DETACH]


def test_releasing_the_detach_key_is_not_another_key() -> None:
    key = DetachKey(KEY, asks=True)
    assert list(key.feed(b"\x1b[93;5:1u\x1b[93;5:3u")) == [Press.ASK]
    assert list(key.feed(b"\x1b[93;5:1u")) == [Press.DETACH]


@pytest.mark.parametrize(
    ("key", "name"), [(KEY, "Ctrl-]"), (b"\x01", "Ctrl-A"), (b"q", "q"), (b"\x1bd", "\\x1bd")]
)
def test_a_key_has_a_name_for_people(key: bytes, name: str) -> None:
    assert key_name(key) == name


def test_a_detach_key_that_is_not_a_control_key_has_one_form() -> None:
    assert list(DetachKey(b"q", asks=False).feed(b"\x1b[113;5uq")) == [b"\x1b[113;5u", Press.DETACH]


def test_without_changed_modes_only_the_colours_are_reset() -> None:
    assert _left_by(b"plain \x1b[31mred") == b"\x1b[0m"


@pytest.mark.parametrize(
    ("entered", "left"),
    [
        (b"\x1b[?1049h", b"\x1b[?1049l"),
        (b"\x1b[?25l", b"\x1b[?25h"),
        (b"\x1b[?7l", b"\x1b[?7h"),
        (b"\x1b[?2004h", b"\x1b[?2004l"),
        (b"\x1b=", b"\x1b>"),
        (b"\x1b[>1u\x1b[>3u", b"\x1b[<2u"),
        (b"\x1b[>4;2m", b"\x1b[>4m"),
        (b"\x1b[?1000;1006h", b"\x1b[?1000l\x1b[?1006l"),
        (b"\x1b[=1u", b"\x1b[=0u"),
        (b"\x1b[>1u\x1b[?1049h\x1b[>3u", b"\x1b[<1u\x1b[?1049l\x1b[<1u"),
        (b"\x1b[>1;2m", b"\x1b[>1m"),
        (b"\x1b[?1003r", b"\x1b[?1003l"),
        (b"\x1b[4h", b"\x1b[4l"),
        (b"\x1b[2;20h", b"\x1b[2l\x1b[20l"),
        (b"\x1b[12l", b"\x1b[12h"),
        (b"\x1b[2;5r", b"\x1b7\x1b[r\x1b8"),
        (b"\x1b[2;5r\x1b[?6h", b"\x1b[?6l\x1b[r\x1b[999;1H"),
        (b"\x1b[?1047h", b"\x1b[?1047l\x1b[999;1H"),
        (b"\x1b(0", b"\x1b(B"),
        (b"\x1b)0\x0e", b"\x1b)B\x0f"),
        (b"\x1b.A\x1bn", b"\x1b*B\x0f"),
        (b"\x1b|", b"\x1b}"),
        (b"\x1b%@", b"\x1b%G"),
        (b"\x1b G", b"\x1b F"),
        (b"\x1b[4 q", b"\x1b[0 q"),
        (b'\x1b[1"q', b'\x1b[0"q'),
        (b"\x1b[1$}", b"\x1b[0$}"),
        (b"\x1b[?8c", b"\x1b[?0c"),
        (b"\x1b[5i", b"\x1b[4i"),
        (b"\x1b[?5i", b"\x1b[?4i"),
        (b"\x1b]12;red\x07", b"\x1b]112\x07"),
        (b"\x1b]10;red;blue\x1b\\", b"\x1b]110\x07\x1b]111\x07"),
        (b"\x1b]4;1;red;2;blue\x07", b"\x1b]104;1\x07\x1b]104;2\x07"),
        (b"\x1b]5;0;red\x07", b"\x1b]105;0\x07"),
        (b"\x1b]P1ff0000", CANCEL + b"\x1b]R\x1b\\"),
        (b"\x1b]8;;https://example.org\x07", b"\x1b]8;;\x07"),
        (b"\x1b]9;4;1;50\x07", b"\x1b]9;4;0\x07"),
        (b"\x1b]22;pointer\x07", b"\x1b]22;\x07"),
        (b"\x1b[2J\x1b[", CANCEL),
        (b"\x1b]2;cut off", CANCEL),
        (b"\x1b]2;cut off\x1b", CANCEL),
        (b"\x1bPq" + 9000 * b"-" + b"\x1b", CANCEL),
    ],
)
def test_a_changed_mode_is_restored(entered: bytes, left: bytes) -> None:
    assert _left_by(entered) == left + b"\x1b[0m"


@pytest.mark.parametrize(
    "output",
    [
        b"\x1b[?1049h\x1b[?1049l",
        b"\x1b[?25l\x1b[?25h",
        b"\x1b[>1u\x1b[<u",
        b"\x1b[>1u\x1b[>3u\x1b[<2u",
        b"\x1b[<3u",
        b"\x1b=\x1b>",
        b"\x1b[>4;1m\x1b[>4m",
        b"\x1b[?1049h\x1b[?25l\x1b=\x1bc",
        b"\x1b[=1u\x1b[=0u",
        b"\x1b[>1u\x1b[=3u\x1b[<u",
        b"\x1b[?9999h",
        b"\x1b[4h\x1b[4l",
        b"\x1b[2;5r\x1b[r",
        b"\x1b(0\x1b(B\x0e\x0f",
        b"\x1b[4 q\x1b[ q",
        b"\x1b]12;red\x07\x1b]112\x07",
        b"\x1b]4;1;red;10;red\x07\x1b]104;1\x07\x1b]104;10\x07",
        b"\x1b]4;1;red;2;red\x07\x1b]104\x07",
        b"\x1b]11;?\x07\x1b]4;1;?\x07",
        b"\x1b]8;;https://example.org\x07link\x1b]8;;\x07",
        b"\x1b]9;4;1;50\x07\x1b]9;4;0\x07",
        b"\x1b]9;done\x07",
        b"\x1bP\x1b(0 is within a string\x1b\\\x1b(B",
        b"\x1bPq" + 9000 * b"-" + b"\x1b\\",
    ],
)
def test_a_mode_that_the_program_restored_is_not_restored_again(output: bytes) -> None:
    assert _left_by(output) == b"\x1b[0m"


def test_tab_stops_are_restored_in_a_terminal_of_known_width() -> None:
    modes = Modes()
    modes.feed(b"\x1b[3g")
    assert modes.leave(20) == b"\x1b7\x1b[3g\x1b[9G\x1bH\x1b[17G\x1bH\x1b8\x1b[0m"


def test_the_title_is_saved_first_and_restored_last() -> None:
    modes = Modes()
    assert modes.begin() == b"\x1b[22;0t"
    modes.feed(b"\x1b]0;title\x07")
    assert modes.leave() == b"\x1b[23;0t\x1b[0m"


def test_titles_that_the_program_saved_are_dropped() -> None:
    modes = Modes()
    modes.begin()
    modes.feed(b"\x1b[22;2t\x1b[22t\x1b[23;0t\x1b[22;1t")
    assert modes.leave() == 2 * b"\x1b[23;0t" + b"\x1b[0m"


def test_after_a_redraw_nothing_is_restored_twice() -> None:
    modes = Modes()
    modes.begin()
    for _ in range(2):
        modes.feed(b"\x1b[>1u\x1b[4h")
        assert modes.clear() == b"\x1b[<1u\x1b[4l\x1b[0m"
    assert modes.leave() == b"\x1b[23;0t\x1b[0m"


def test_the_alternate_screen_is_left_last_and_entered_first() -> None:
    modes = Modes()
    modes.feed(b"\x1b[?2004h\x1b[?1049h\x1b[?25l\x1b[>1u\x1b[>4;2m\x1b=")
    assert re.findall(rb"\?(\d+)", modes.leave())[-1] == b"1049"
    assert re.findall(rb"\?(\d+)", modes.enter())[0] == b"1049"


def test_entering_again_makes_all_changes_again() -> None:
    modes = Modes()
    modes.feed(b"\x1b[>1u\x1b[?1049h\x1b[?25l\x1b[>1u\x1b[>4;2m\x1b=\x1b[4h\x1b(0\x1b[2;5r")
    modes.feed(b"\x1b]4;1;red;2;blue\x07\x1b[3 q")
    assert _left_by(modes.enter()) == modes.leave()


_PIECES = [
    b"\x1b[?1049h",
    b"\x1b[?25l",
    b"\x1b[?1002;1006h",
    b"\x1b[>5u",
    b"\x1b=",
    b"\x1b(0\x0e",
    b"\x1b[2;5r",
    b"\x1b]12;red\x1b\\",
    b"\x1bPq~~\x1b\\",
    b"text\r\n\x1b",
]


@given(st.lists(st.sampled_from(_PIECES)).map(b"".join), st.lists(st.integers(0, 100), max_size=9))
def test_modes_do_not_depend_on_where_the_output_is_cut(output: bytes, cuts: list[int]) -> None:
    ends = sorted({0, len(output), *(min(cut, len(output)) for cut in cuts)})
    pieces = [output[start:end] for start, end in itertools.pairwise(ends)]
    assert _left_by(*pieces) == _left_by(output)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("x", b"x"),
        ("é", "é".encode()),
        ("-", b"-"),
        ("Enter", b"\r"),
        ("enter", b"\r"),
        ("Escape", b"\x1b"),
        ("BSpace", b"\x7f"),
        ("BTab", b"\x1b[Z"),
        ("S-Tab", b"\x1b[Z"),
        ("C-c", b"\x03"),
        ("^C", b"\x03"),
        ("C-Space", b"\0"),
        ("C-?", b"\x7f"),
        ("C-[", b"\x1b"),
        ("M-x", b"\x1bx"),
        ("M-Enter", b"\x1b\r"),
        ("C-M-c", b"\x1b\x03"),
        ("Up", b"\x1b[A"),
        ("C-Up", b"\x1b[1;5A"),
        ("S-M-End", b"\x1b[1;4F"),
        ("PageUp", b"\x1b[5~"),
        ("C-DC", b"\x1b[3;5~"),
        ("F1", b"\x1bOP"),
        ("S-F1", b"\x1b[1;2P"),
        ("F12", b"\x1b[24~"),
    ],
)
def test_a_key_is_sent_as_an_xterm_does(name: str, sent: bytes) -> None:
    assert sent_for(name) == sent


def test_application_cursor_keys_apply_without_modifiers() -> None:
    assert sent_for("Up", application=True) == b"\x1bOA"
    assert sent_for("C-Up", application=True) == b"\x1b[1;5A"


def test_every_named_key_sends_a_different_sequence() -> None:
    sent = [sent_for(name) for name in NAMES]
    assert all(sent)
    twice = {"IC", "DC", "PPage", "PageUp", "NPage", "PageDown"}
    alone = [sent_for(name) for name in NAMES if name not in twice]
    assert len(alone) == len(set(alone))


@pytest.mark.parametrize("name", ["", "Entr", "C-", "C-1", "C-Enter", "S-x", "C-é", "text", "X-a"])
def test_an_unknown_key_is_refused(name: str) -> None:
    with pytest.raises(UnknownKeyError):
        sent_for(name)


def test_a_misspelled_key_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownKeyError, match="Did you mean 'Escape'"):
        sent_for("escpe")


def test_application_cursor_keys_are_tracked() -> None:
    modes = Modes()
    assert not modes.application_cursor_keys
    modes.feed(b"\x1b[?1h")
    assert modes.application_cursor_keys
