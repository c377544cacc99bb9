"""Queries in output: found wherever it is cut, shown without effect, answered by the emulator."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frith_os.pty import queries
from frith_os.pty.ring import Ring, WrittenRing
from frith_terminals.queries import Queries
from frith_vt import Emulator, Picture, fixed_answer, render

from .sequences import OUTPUT

ASKED = [
    b"\x1b[c",
    b"\x1b[0c",
    b"\x1b[>c",
    b"\x1b[>0c",
    b"\x1b[=c",
    b"\x1b[5n",
    b"\x1b[6n",
    b"\x1b[?6n",
    b"\x1b[?996n",
    b"\x1b[>q",
    b"\x1b[>0q",
    b"\x1b[?u",
    b"\x1b[?4m",
    b"\x1b[?2004$p",
    b"\x1b[4$p",
    b"\x1b[14t",
    b"\x1b[18t",
    b"\x1b]10;?\x07",
    b"\x1b]11;?\x1b\\",
    b"\x1b]10;?;?\x1b\\",
    b"\x1b]4;7;?\x07",
    b"\x1b]52;cs;?\x07",
    b"\x1bP$qm\x1b\\",
    b"\x1bP+q544e;436f\x1b\\",
    b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\",
    b"\x1b_Ga=q,i=1;AAAA\x1b\\",
]
OTHERS = [
    b"\x1b[m",
    b"\x1b[0n",
    b"\x1b[?62;22c",
    b"\x1b[3;7R",
    b"\x1b[?25h",
    b"\x1b[>4;2m",
    b"\x1b[>1u",
    b"\x1b[2 q",
    b"\x1b[22;0t",
    b"\x1b[8;24;80t",
    b"\x1b]0;[c\x07",
    b"\x1b]10;red\x07",
    b"\x1b]52;c;aGk=\x07",
    b"\x1b_Ga=T,f=100;AAAA\x1b\\",
    b"[c",
]
MIXED = st.lists(st.sampled_from(ASKED + OTHERS) | OUTPUT | st.binary(max_size=20)).map(b"".join)


def append(ring: WrittenRing, data: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    while ring.fill(reading, len(data) or 1):
        pass
    os.close(reading)


def found(*pieces: bytes) -> list[tuple[int, bytes]]:
    """Return the queries that are found if the pieces come one by one."""
    ring = WrittenRing(64 * 1024)
    in_ring = Queries(ring, 0)
    seen = []
    for piece in pieces:
        append(ring, piece)
        seen += [(query.start, query.data) for query in in_ring.search()]
    return seen


def blanked(data: bytes) -> bytes:
    in_ring = Queries(Ring(0, data), 0)
    in_ring.search()
    return in_ring.blanked(0, data)


@pytest.mark.parametrize("query", ASKED)
def test_a_query_is_found(query: bytes) -> None:
    assert found(b"text" + query + b"text") == [(4, query)]


@pytest.mark.parametrize("query", ASKED)
def test_a_query_is_searched_only_when_it_is_complete(query: bytes) -> None:
    for cut in range(1, len(query)):
        assert queries.find(b"text" + query[:cut]) == ([], 4)


@pytest.mark.parametrize("other", OTHERS)
def test_another_sequence_is_no_query(other: bytes) -> None:
    assert queries.find(other + b"text") == ([], len(other) + 4)


def test_a_begun_sequence_that_is_too_long_is_no_query() -> None:
    endless = b"\x1bP+q" + b"5" * queries.LONGEST
    assert queries.find(endless) == ([], len(endless))


@given(MIXED, st.data())
def test_where_the_output_is_cut_does_not_matter(data: Any, draw: Any) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=5)))
    pieces = [data[first:last] for first, last in pairwise([0, *cuts, len(data)])]
    assert found(*pieces) == found(data)
    assert found(*(data[at : at + 1] for at in range(len(data)))) == found(data)


@given(MIXED)
def test_output_without_its_queries_shows_the_same(data: Any) -> None:
    without = blanked(data)
    assert len(without) == len(data)
    shown = []
    for output in (data, without):
        emulator = Emulator(6, 20)
        emulator.feed(output)
        shown.append(b"".join(render(emulator, 6, 20)))
    assert shown[0] == shown[1]


@given(MIXED, st.data())
def test_pieces_of_output_without_queries_are_those_of_the_whole(data: Any, draw: Any) -> None:
    in_ring = Queries(Ring(0, data), 0)
    in_ring.search()
    cut = draw.draw(st.integers(0, len(data)))
    pieces = in_ring.blanked(0, data[:cut]) + in_ring.blanked(cut, data[cut:])
    assert pieces == in_ring.blanked(0, data)
    asked = [query.start for query in Queries(Ring(0, data), 0).search()]
    assert in_ring.blanked(0, data, asked) == data


@pytest.mark.anyio
async def test_output_before_the_host_came_is_searched_once_it_is_shown() -> None:
    data = b"one\x1b[6ntwo" * 20_000
    in_ring = Queries(Ring(7, data), None)
    assert in_ring.search() == []
    assert in_ring.blanked(7, data) == data
    await in_ring.search_earlier(None)
    await in_ring.search_earlier(None)
    assert in_ring.blanked(7, data) == b"one\x1b[0ntwo" * 20_000


def test_an_offset_within_a_query_is_moved_behind_it() -> None:
    in_ring = Queries(Ring(0, b"one\x1b[6ntwo"), 0)
    in_ring.search()
    assert [in_ring.after(offset) for offset in range(2, 9)] == [2, 3, 7, 7, 7, 7, 8]


def test_queries_that_were_overwritten_are_forgotten() -> None:
    ring = WrittenRing(64 * 1024)
    in_ring = Queries(ring, 0)
    for _ in range(100):
        append(ring, b"\x1b[c" * 4000)
        in_ring.search()
    assert len(in_ring._starts) < 64 * 1024


ANSWERS = {
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b[>0c": b"\x1b[>1;0;0c",
    b"\x1b[=c": b"\x1bP!|00000000\x1b\\",
    b"\x1b[5n": b"\x1b[0n",
    b"\x1b[?996n": b"\x1b[?997;1n",
    b"\x1b[>q": b"\x1bP>|frith\x1b\\",
    b"\x1b]10;?;?\x07": b"\x1b]10;rgb:d0d0/d0d0/d0d0\x07\x1b]11;rgb:0000/0000/0000\x07",
    b"\x1b]11;?\x1b\\": b"\x1b]11;rgb:0000/0000/0000\x1b\\",
    b"\x1b]4;7;?\x07": b"",
    b"\x1b]52;c;?\x07": b"",
    b"\x1bP$qm\x1b\\": b"\x1bP0$r\x1b\\",
    b"\x1bP+q544e\x1b\\": b"\x1bP0+r\x1b\\",
    b"\x1b_Ga=q,i=1;AAAA\x1b\\": b"",
    b"\x1b[6n": b"\x1b[1;1R",
    b"one\r\ntwo\x1b[6n": b"\x1b[2;4R",
    b"\x1b[3;7H\x1b[?6n": b"\x1b[?3;7R",
    b"\x1b[2;5r\x1b[?6h\x1b[3;1H\x1b[6n": b"\x1b[3;1R",
    b"12345678901234567890\x1b[6n": b"\x1b[1;20R",
    b"\x1b[?25$p": b"\x1b[?25;1$y",
    b"\x1b[?25l\x1b[?25$p": b"\x1b[?25;2$y",
    b"\x1b[?2004h\x1b[?2004$p": b"\x1b[?2004;1$y",
    b"\x1b[?1049$p": b"\x1b[?1049;2$y",
    b"\x1b[?1049h\x1b[?1049$p": b"\x1b[?1049;1$y",
    b"\x1b[?7777$p": b"\x1b[?7777;0$y",
    b"\x1b[?99999999$p": b"\x1b[?99999999;0$y",
    b"\x1b[4h\x1b[4$p": b"\x1b[4;1$y",
    b"\x1b[20$p": b"\x1b[20;0$y",
    b"\x1b[?u": b"\x1b[?0u",
    b"\x1b[>5u\x1b[?u": b"\x1b[?5u",
    b"\x1b[>5u\x1b[<u\x1b[?u": b"\x1b[?0u",
    b"\x1b[>4;2m\x1b[?4m": b"\x1b[>4;2m",
    b"\x1b[?4m": b"\x1b[>4;0m",
    b"\x1b[18t": b"\x1b[8;6;20t",
    b"\x1b[14t": b"",
}


def answer(picture: Picture, start: int, query: bytes) -> bytes:
    fixed = fixed_answer(query)
    if fixed is not None:
        return fixed
    picture.bring_to(start)
    return picture.answer(query)


@pytest.mark.parametrize("output", ANSWERS)
def test_the_emulator_answers(output: bytes) -> None:
    picture = Picture(Ring(0, output + b"later\x1b[?25h\x1b[H"), [(0, 6, 20)])
    ((start, query),) = found(output)
    assert answer(picture, start, query) == ANSWERS[output]


def test_the_cursor_is_exact_after_text_that_was_passed_over() -> None:
    output = b"line\r\n" * 9000 + b"last" + b"\x1b[6n"
    ring = WrittenRing(64 * 1024)
    picture = Picture(ring, [(0, 6, 20)])
    append(ring, output + b"later\x1b[H" * 1000)
    picture.keep_up(len(output))
    start = output.index(b"\x1b[6n")
    while not picture.approach(start):
        pass
    assert picture.at == start
    assert picture.answer(b"\x1b[6n") == b"\x1b[6;5R"


@given(MIXED)
def test_no_query_makes_the_emulator_fail(data: Any) -> None:
    picture = Picture(Ring(0, data), [(0, 6, 20)])
    for start, query in found(data):
        answer(picture, start, query)
