"""The ring between a keeper and its hosts, against the simplest implementation."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frith_os.pty.ring import HEADER, SPARE, MappedRing, WrittenRing

PIECES = st.lists(st.integers(0, 40_000), max_size=12)
CAPACITIES = st.integers(1, 5000)


def numbered(start: Any, stop: Any) -> Any:
    """Bytes that tell by themselves where they belong."""
    first = start // 8
    whole = b"".join(n.to_bytes(8, "big") for n in range(first, stop // 8 + 1))
    return whole[start - first * 8 : stop - first * 8]


@contextmanager
def rings(scrollback: Any) -> Any:
    written = WrittenRing(scrollback, is_shared=True)
    mapped = MappedRing(written.fd, written.capacity)
    reading, writing = os.pipe()
    try:
        yield written, mapped, Feed(written, reading, writing)
    finally:
        mapped.detach()
        counts: Any = written._counts
        counts.release()
        written._view.release()
        memory: Any = written._memory
        memory.close()
        for fd in (written.fd, reading, writing):
            os.close(fd)


class Feed:
    """Has the ring read what a command has written."""

    def __init__(self, ring: Any, reading: Any, writing: Any) -> None:
        self._ring, self._reading, self._writing = ring, reading, writing

    def __call__(self, size: Any) -> None:
        while size:
            piece = min(size, 4096)
            os.write(self._writing, numbered(self._ring.end, self._ring.end + piece))
            size -= piece
            while piece:  # asking for more than there is, as a keeper does
                piece -= self._ring.fill(self._reading, SPARE)


@given(scrollback=CAPACITIES, pieces=PIECES)
def test_a_mapped_ring_has_the_newest_bytes(scrollback: Any, pieces: Any) -> None:
    with rings(scrollback) as (written, mapped, feed):
        for piece in pieces:
            feed(piece)
            assert mapped.end == written.end
            assert mapped.start == max(0, written.end - written.capacity)
            offset, kept = mapped.newest()
            assert (offset, kept) == (mapped.start, numbered(mapped.start, mapped.end))
        assert written.end == sum(pieces)


@given(data=st.data(), scrollback=CAPACITIES, pieces=PIECES)
def test_any_part_of_a_ring_can_be_read_and_searched(
    data: Any, scrollback: Any, pieces: Any
) -> None:
    with rings(scrollback) as (written, mapped, feed):
        feed(sum(pieces))
        offset = data.draw(st.integers(mapped.start, mapped.end))
        limit = data.draw(st.integers(0, 2 * mapped.capacity))
        whole = numbered(offset, mapped.end)
        byte = data.draw(st.binary(min_size=1, max_size=1))
        for _ in ("mapped", "detached"):
            assert mapped.read(offset, limit) == whole[:limit]
            assert mapped.holds(byte, offset) == (byte in whole)
            assert mapped.end == written.end
            mapped.detach()


@given(scrollback=CAPACITIES, before=st.integers(0, 200_000), reach=st.integers(0, 4096))
def test_bytes_that_may_be_overwritten_just_now_are_not_kept(
    scrollback: Any, before: Any, reach: Any
) -> None:
    # As while the keeper copies output there, or was killed meanwhile.
    with rings(scrollback) as (written, mapped, feed):
        feed(before)
        written._announce(written.end + reach)
        assert mapped.end == before
        oldest = max(0, before + reach - written.capacity)
        assert mapped.start == oldest
        assert mapped.newest() == (oldest, numbered(oldest, before))


@pytest.mark.expensive("writes megabytes of output")
def test_a_reader_in_another_process_sees_no_byte_that_is_not_whole() -> None:
    with rings(4096) as (_, mapped, feed):
        writer = os.fork()
        if writer == 0:
            feed(30_000_000)
            os._exit(0)
        seen, wrong = [], 0
        while os.waitpid(writer, os.WNOHANG) == (0, 0):
            before = mapped.end
            offset, kept = mapped.newest()
            seen.append(offset)
            wrong += kept != numbered(offset, offset + len(kept)) or mapped.end < before
        assert wrong == 0
        assert len(set(seen)) > 10


def test_a_read_only_descriptor_can_neither_write_nor_truncate_the_ring() -> None:
    with rings(4096) as (written, _, feed):
        feed(100)
        fd = os.open(f"/proc/self/fd/{written.fd}", os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="Bad file"):
                os.write(fd, b"x")
            for size in (0, 1 << 30):
                with pytest.raises(OSError, match="not permitted|Invalid"):
                    os.ftruncate(fd, size)
                with pytest.raises(OSError, match="not permitted"):
                    os.ftruncate(written.fd, size)
        finally:
            os.close(fd)


def test_a_ring_smaller_than_stated_is_refused() -> None:
    written = WrittenRing(4096, is_shared=True)
    with pytest.raises(ValueError, match="smaller"):
        MappedRing(written.fd, written.capacity + 1)
    os.close(written.fd)


def test_a_ring_takes_no_memory_before_there_is_output() -> None:
    with rings(1 << 30) as (written, mapped, feed):
        feed(10)
        assert os.fstat(written.fd).st_blocks * 512 <= 2 * max(HEADER, SPARE)
        assert mapped.read(0, 100) == numbered(0, 10)
