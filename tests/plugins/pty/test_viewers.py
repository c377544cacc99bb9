"""When the viewers of a terminal are woken, and what they share."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence

import anyio
import pytest

from frith.ports import AttachMode, Chunk, Gap, Size
from frith_os.pty.ring import WrittenRing
from frith_terminals import viewing
from frith_terminals.queries import Query
from frith_terminals.viewing import Viewer, Viewers

SCROLLBACK = 1 << 20
MUCH = 64 * 1024
QUERY, BLANK = b"\x1b[6n", b"\x1b[0n"


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
        self.say(b"x" * size)

    def say(self, data: bytes) -> None:
        """Write ``data``, and say so once."""
        while data:
            part = os.write(self._writing, data[:4096])
            data = data[self.ring.fill(self._reading, part) :]
        self.viewers.look()

    def hold_queries(self) -> list[Query]:
        """Leave the queries to come undecided; return a list that gets them."""
        found: list[Query] = []

        def hold(queries: Sequence[Query]) -> None:
            found.extend(queries)
            self.viewers.held = found[0].start

        self.viewers.on_queries = hold
        return found

    def decide(self, asked: Viewer | None = None) -> None:
        """Have the query that is held answered by ``asked``."""
        if asked is not None:
            asked.asked.append(Query(self.viewers.held or 0, QUERY, 0))
        self.viewers.held = None
        self.viewers.proceed()

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
    def data(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces if isinstance(piece, Chunk))

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


async def test_output_after_a_query_is_held_and_passed_on_at_once_when_it_is_decided(
    written: Written,
) -> None:
    following, found = Following(written.attach()), written.hold_queries()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following.run)
        for data in (b"x" * MUCH, b"one" + QUERY + b"two", b"three"):
            await anyio.wait_all_tasks_blocked()
            written.say(data)
        written.pause()
        await anyio.wait_all_tasks_blocked()
        assert following.data == b"x" * MUCH + b"one"
        written.say(b"x" * MUCH)
        await anyio.wait_all_tasks_blocked()
        assert following.sizes == [MUCH, 3]
        written.decide()
        await anyio.wait_all_tasks_blocked()
        assert following.sizes[2:] == [len(BLANK + b"twothree") + MUCH]
        written.say(b"x" + QUERY)
        written.decide()
        await anyio.wait_all_tasks_blocked()
        assert following.data.endswith(b"x" + BLANK), "a pause is no reason to wait"
        written.viewers.close()
    assert [query.data for query in found] == [QUERY, QUERY]
    assert BLANK + b"twothree" in following.data


async def test_a_query_is_only_in_the_pieces_of_the_viewer_that_answers(written: Written) -> None:
    viewers = [written.attach() for _ in range(3)]
    all_following = [Following(viewer) for viewer in viewers]
    written.hold_queries()
    async with anyio.create_task_group() as tasks:
        for following in all_following:
            tasks.start_soon(following.run)
        await anyio.wait_all_tasks_blocked()
        written.say(b"one" + QUERY + b"two")
        await anyio.wait_all_tasks_blocked()
        written.decide(asked=viewers[1])
        await anyio.wait_all_tasks_blocked()
        written.say(b"three")
        await anyio.wait_all_tasks_blocked()
        written.viewers.close()
    first, asked, last = all_following
    assert asked.data == b"one" + QUERY + b"twothree"
    assert first.data == b"one" + BLANK + b"twothree"
    assert all(one is same for one, same in zip(first.pieces, last.pieces, strict=True))
    assert asked.pieces[-1] is first.pieces[-1], "it shares again what has no query"


async def test_a_screen_shows_nothing_after_a_query_that_is_held(written: Written) -> None:
    written.hold_queries()
    written.say(b"one" + QUERY + b"two")
    assert (await written.viewers.screen(None)).offset == 3
    while not written.viewers.picture.approach(written.ring.end):
        pass
    async with anyio.create_task_group() as tasks:
        screens: list[int] = []

        async def look() -> None:
            screens.append((await written.viewers.screen(None)).offset)

        tasks.start_soon(look)
        await anyio.wait_all_tasks_blocked()
        assert not screens
        written.decide()
    assert screens == [written.ring.end]


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
