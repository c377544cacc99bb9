"""Output as programs write it, and as none would."""

from __future__ import annotations

from hypothesis import strategies as st

SMALL = st.integers(0, 25)
ONE_UP = st.integers(1, 25)
COLOURS = ["", "0", "1", "2;3", "4", "4:3", "7", "9", "22", "24", "27", "31", "42", "97", "104"]
COLOURS += ["38;5;200", "48;5;17", "38;2;1;2;3", "48:2::9:8:7", "39;49", "58:5:9", "59"]


def control(final: str) -> st.SearchStrategy[bytes]:
    one = SMALL.map(lambda n: f"\x1b[{n}{final}".encode())
    return one | st.just(f"\x1b[{final}".encode())


PLACES = st.tuples(SMALL, SMALL).map(lambda place: b"\x1b[%d;%dH" % place)
MARGINS = st.tuples(ONE_UP, ONE_UP).map(lambda rows: b"\x1b[%d;%dr" % rows)
STYLES = st.sampled_from(COLOURS).map(lambda colour: f"\x1b[{colour}m".encode())
MODES = st.tuples(
    st.sampled_from([1, 5, 7, 12, 25, 1000, 1002, 1003, 1006, 1004, 2004]),
    st.sampled_from("hl"),
).map(lambda mode: "\x1b[?{}{}".format(*mode).encode())
_SETS = [b"\x1b(0", b"\x1b(B", b"\x1b)0", b"\x0e", b"\x0f"]
_KEYS = [b"\x1b=", b"\x1b>", b"\x1b[>1u", b"\x1b[<u", b"\x1b[>4;2m"]
_TABS = [b"\x1bH", b"\x1b[g", b"\x1b[3g"]
_SCREENS = [b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?47h", b"\x1b7", b"\x1b8", b"\x1b#8"]
_RESETS = [b"\x1b[?6h", b"\x1b[?6l", b"\x1bc", b"\x1b[!p", b"\x1b[4h", b"\x1b[4l", b"\x1b[2 q"]
SWITCHES = MODES | st.sampled_from([*_SETS, *_KEYS, *_TABS, *_SCREENS, *_RESETS])
MOVES = st.sampled_from([b"\r", b"\n", b"\r\n", b"\b", b"\t", b"\x1bD", b"\x1bE", b"\x1bM"])
TEXTS = st.text(st.sampled_from("abcxyz ~漢字é│🙂\u0301"), min_size=1, max_size=30).map(str.encode)
EDITS = st.sampled_from("@ABCDEFGJKLMPSTXZ`d").flatmap(control)
OTHERS = st.sampled_from("Iabesu").flatmap(control)
OUTPUT = st.lists(
    TEXTS | EDITS | PLACES | STYLES | MOVES | SWITCHES | MARGINS | OTHERS, max_size=30
).map(b"".join)

_NARROW = st.text(st.sampled_from("abcxyz ~é│\u0301"), min_size=1, max_size=30).map(str.encode)
"""Terminals disagree about halves of wide characters."""
_SETTLED = st.tuples(_NARROW, MOVES.filter(lambda move: move.startswith(b"\r")) | PLACES).map(
    b"".join
)
"""Text after which the cursor is at rest: terminals disagree about moves from behind the margin."""
COMPARABLE = st.lists(
    _SETTLED | EDITS | PLACES | STYLES | MOVES | MARGINS | MODES, max_size=30
).map(b"".join)
"""What tmux does as xterm does."""
