"""When the viewers of a terminal are woken, and what they share."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import anyio
import pytest

from frith.ports import AttachMode, Chunk, Gap, Size
from frith_os.pty.ring import WrittenRing
from frith_terminals import viewing
from frith_terminals.viewing import Viewer, Viewers

SCROLLBACK = 1 << 20
MUCH = 64 * 1024


class Written:
    """Output that a test writes, and its viewers."""

    def __init__(self) -> None:
        self.ring = WrittenRing(SCROLLBACK)
        self.pauses: list[Callable[[], None]] = []
        """What is to happen when the pace of a flood allows it."""
        self.viewers = Viewers(self.ring, [(0, 24, 80)], lambda _: None, self.later)
        self._reading, self._writing = os.pipe()

    def later(self, _delay: float, callback: Callable[[], None]) -> None:
        self.pauses.append(callback)

    def write(self, size: int) -> None:
        """Write ``size`` bytes, and say so once."""
        while size:
            part = os.write(self._writing, b"x" * min(size, 4096))
            size -= self.ring.fill(self._reading, part)
        self.viewers.look()

    def pause(self) -> None:
        """Let the time between two wake-ups pass."""
        self.pauses.pop()()

    def attach(self, mode: AttachMode = AttachMode.LOSSY) -> Viewer:
        viewer = Viewer(self.viewers, None, mode)
        self.viewers.add(viewer)
        return viewer

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


@pytest.fixture
def written() -> Iterator[Written]:
    written = Written()
    yield written
    written.close()


class Following:
    """A task that follows one viewer: the pieces that it has got."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.pieces: list[Chunk | Gap] = []

    async def run(self) -> None:
        async for piece in self._viewer:
            self.pieces.append(piece)

    @property
    def sizes(self) -> list[int]:
        return [len(piece.data) for piece in self.pieces if isinstance(piece, Chunk)]


async def test_little_output_is_passed_on_at_once(written: Written) -> None:
    following = Following(written.attach())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following.run)
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()
            written.write(100)
        await anyio.wait_all_tasks_blocked()
        written.viewers.close()
    assert following.sizes == [100] * 3
    assert not written.pauses


async def test_much_output_is_passed_on_at_once_and_the_next_after_a_pause(
    written: Written,
) -> None:
    following = Following(written.attach())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following.run)
        for size in (MUCH, 10, 20):
            await anyio.wait_all_tasks_blocked()
            written.write(size)
        await anyio.wait_all_tasks_blocked()
        assert following.sizes == [MUCH]
        written.pause()
        await anyio.wait_all_tasks_blocked()
        written.write(5)
        await anyio.wait_all_tasks_blocked()
        assert following.sizes == [MUCH, 30, 5]
        written.viewers.close()
    assert not written.pauses


async def test_a_quarter_of_the_scrollback_is_passed_on_without_a_pause(written: Written) -> None:
    following = Following(written.attach())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following.run)
        for size in (MUCH, SCROLLBACK // 4 - 1, 1):
            await anyio.wait_all_tasks_blocked()
            written.write(size)
        await anyio.wait_all_tasks_blocked()
        written.viewers.close()
    assert following.sizes == [MUCH, SCROLLBACK // 4]
    assert len(written.pauses) == 1


async def test_output_in_a_pause_is_passed_on_at_the_end(written: Written) -> None:
    following = Following(written.attach())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following.run)
        for size in (MUCH, 10):
            await anyio.wait_all_tasks_blocked()
            written.write(size)
        written.viewers.close()
    assert following.sizes == [MUCH, 10]


async def test_ten_viewers_get_the_same_objects(written: Written) -> None:
    all_following = [Following(written.attach(AttachMode.LOSSLESS)) for _ in range(10)]
    async with anyio.create_task_group() as tasks:
        for following in all_following:
            tasks.start_soon(following.run)
        for _ in range(20):
            await anyio.wait_all_tasks_blocked()
            written.write(SCROLLBACK // 4)
        await anyio.wait_all_tasks_blocked()
        written.viewers.close()
    first, *others = all_following
    assert sum(first.sizes) == 20 * SCROLLBACK // 4
    for other in others:
        assert all(one is same for one, same in zip(first.pieces, other.pieces, strict=True))


async def test_a_viewer_that_lags_has_nothing_kept_for_it(written: Written) -> None:
    lossless, other = written.attach(AttachMode.LOSSLESS), written.attach()
    for _ in range(4):
        written.write(SCROLLBACK // 8)
    kept = [await anext(lossless), await anext(other)]
    assert kept[0] == kept[1]
    assert not written.viewers._shared


async def test_others_run_while_a_screen_is_worked_out_and_drawn(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = 0

    async def pause() -> None:
        nonlocal pauses
        pauses += 1

    seconds = itertools.count()
    monkeypatch.setattr(viewing, "perf_counter", lambda: next(seconds))
    monkeypatch.setattr("frith_terminals.viewing.lowlevel.checkpoint", pause)
    written.viewers.picture._clock = lambda: next(seconds)
    os.write(written._writing, b"\x1b[31mred\x1b[Hx" * 100)
    written.ring.fill(written._reading, 4096)
    screen = await written.viewers.screen(None)
    assert (screen.offset, screen.size) == (written.ring.end, Size(24, 80))
    assert pauses > 2 * 100 + 24, "after some sequences, and after each row"


async def test_output_that_takes_too_long_to_interpret_is_skimmed(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "_TURNS", 0)
    os.write(written._writing, b"text\x1b[?2004h")
    written.ring.fill(written._reading, 4096)
    screen = await written.viewers.screen(None)
    assert screen.offset == written.ring.end
    assert b"2004h" in screen.data
    assert b"text" not in screen.data
