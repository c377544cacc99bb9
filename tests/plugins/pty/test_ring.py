"""The ring of scrollback, against the simplest thing that could be right."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from frith_pty._ring import Ring

PIECES = st.lists(st.binary(max_size=40), max_size=20)


@given(capacity=st.integers(1, 30), pieces=PIECES)
def test_it_keeps_the_newest_bytes(capacity, pieces):
    ring, whole = Ring(capacity), b""
    for piece in pieces:
        ring.append(piece)
        whole += piece
        assert ring.end == len(whole)
        assert ring.start == max(0, len(whole) - capacity)
        assert ring.read(ring.start, capacity) == whole[ring.start :]


@given(
    capacity=st.integers(1, 30),
    pieces=st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=40)), max_size=20),
    most=st.integers(1, 20),
)
def test_it_is_filled_from_a_descriptor_as_by_hand(capacity, pieces, most):
    ring, whole = Ring(capacity), b""
    reading, writing = os.pipe()
    for from_descriptor, piece in pieces:
        whole += piece
        if from_descriptor:
            os.write(writing, piece)
            while ring.end < len(whole):
                assert 0 < ring.fill(reading, min(most, len(whole) - ring.end)) <= most
        else:
            ring.append(piece)
        assert ring.read(ring.start, capacity) == whole[ring.start :]
    os.close(writing)
    assert ring.fill(reading, most) == 0
    os.close(reading)
    assert ring.read(ring.start, capacity) == whole[ring.start :]


@given(data=st.data(), capacity=st.integers(1, 30), pieces=PIECES)
def test_any_part_of_it_can_be_read(data, capacity, pieces):
    ring, whole = Ring(capacity), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    offset = data.draw(st.integers(ring.start, ring.end))
    limit = data.draw(st.integers(0, 2 * capacity))
    assert ring.read(offset, limit) == whole[offset : offset + limit]


@given(
    capacity=st.integers(1, 30),
    more=st.integers(0, 30),
    before=st.binary(max_size=80),
    after=PIECES,
)
def test_enlarged_it_loses_nothing_it_had(capacity, more, before, after):
    ring = Ring(capacity)
    ring.append(before)
    oldest, whole = ring.start, before
    ring.enlarge(capacity + more)
    for piece in after:
        ring.append(piece)
        whole += piece
    assert ring.start == max(oldest, len(whole) - capacity - more)
    assert ring.read(ring.start, len(whole)) == whole[ring.start :]


def test_it_takes_no_memory_before_there_is_output():
    ring = Ring(1 << 40)
    ring.append(b"little")
    assert ring.read(0, 100) == b"little"


@given(data=st.data(), capacity=st.integers(1, 30), pieces=PIECES)
def test_it_tells_whether_a_byte_occurs_in_any_part_of_it(data, capacity, pieces):
    ring, whole = Ring(capacity), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    offset = data.draw(st.integers(ring.start, ring.end))
    byte = data.draw(st.binary(min_size=1, max_size=1))
    assert ring.holds(byte, offset) == (byte in whole[offset:])
