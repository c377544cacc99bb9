"""The output of a terminal, as viewers see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from frith.ports import AttachMode, Chunk, Gap, Resize, Size, SpawnRequest
from views import rest
from waiting import PATIENCE

LOSSLESS, LOSSY = AttachMode.LOSSLESS, AttachMode.LOSSY
BOTH = pytest.mark.parametrize("mode", [LOSSLESS, LOSSY])
COUNT = "stty -opost; i=100000; while [ $i -lt {} ]; do echo $i; i=$((i+1)); done"
"""Writes lines of 7 bytes from 100000 on; each tells by itself where it belongs."""


def counted(start: int, stop: int) -> bytes:
    return b"".join(b"%d\n" % n for n in range(start, stop))


@pytest.fixture
async def small(opened: Any) -> Any:
    """A provider whose terminals keep the least there is."""
    async with opened(scrollback=4096) as spawner:
        yield spawner


@pytest.fixture
def counting(small: Any, request_for: Callable[..., SpawnRequest]) -> Any:
    async def start(stop: int, then: str = "") -> Any:
        return await small.spawn(request_for("sh", "-c", f"read go; {COUNT.format(stop)}; {then}"))

    return start


@pytest.mark.requirement("R7.3")
@BOTH
async def test_every_viewer_sees_all_of_it(shell: Any, mode: AttachMode) -> None:
    terminal = await shell("read go; " + COUNT.format(104000))
    seen = []

    async def view() -> None:
        async with terminal.attach(mode=mode) as view:
            seen.append(view.snapshot + await rest(view))

    async with anyio.create_task_group() as viewers:
        for _ in range(10):
            viewers.start_soon(view)
        await terminal.write(b"\n")
    assert seen == [b"\r\n" + counted(100000, 104000)] * 10


@pytest.mark.requirement("R7.3")
@BOTH
async def test_the_scrollback_is_replayed_on_attaching(
    shell: Any, transcript: Any, mode: AttachMode
) -> None:
    terminal = await shell("echo before; read line; echo after")
    async with terminal.attach() as view:
        await transcript(view).until(b"before\r\n")
    async with terminal.attach(mode=mode) as view:
        assert (view.offset, view.snapshot) == (0, b"before\r\n")
        await terminal.write(b"\n")
        assert view.snapshot + await rest(view) == b"before\r\n\r\nafter\r\n"


@pytest.mark.requirement("R7.3")
async def test_the_scrollback_is_bounded_in_bytes(counting: Any) -> None:
    terminal = await counting(102000)
    await terminal.write(b"\n")
    await terminal.drained()
    for asked in (None, 0, 3000):
        async with terminal.attach(from_offset=asked) as view:
            assert view.snapshot == counted(100000, 102000)[-4096:]
            assert view.offset == len(b"\r\n") + 2000 * 7 - 4096


@pytest.mark.requirement("R7.4")
async def test_a_lossy_viewer_that_sleeps_is_told_what_it_missed(counting: Any) -> None:
    terminal = await counting(102000)
    async with terminal.attach(mode=LOSSY) as view:
        await terminal.write(b"\n")
        await terminal.drained()
        items = [item async for item in view]
    whole = b"\r\n" + counted(100000, 102000)
    missed = len(whole) - 4096
    assert items == [Gap(0, missed), Chunk(missed, whole[missed:])]


@pytest.mark.requirement("R7.4")
async def test_a_lossy_viewer_that_fell_behind_starts_afresh_from_one_snapshot(
    counting: Any,
) -> None:
    # More output between the gap and what follows it makes no second gap.
    terminal = await counting(110000, "read go; " + COUNT.format(105000))
    whole = b"\r\n" + counted(100000, 110000)
    async with terminal.attach(mode=LOSSY) as view:
        async with terminal.attach(mode=LOSSLESS) as awake:
            await terminal.write(b"\n")
            seen = awake.snapshot
            while len(seen) < len(whole):
                seen += (await anext(awake)).data
        gap = await anext(view)
        await terminal.write(b"\n")
        await terminal.drained()
        fresh = await anext(view)
        assert (await anext(view)).offset == len(whole)
    assert gap == Gap(0, len(whole) - 4096)
    assert fresh == Chunk(gap.missed, whole[-4096:])


async def test_resizes_are_recorded_with_their_offsets(shell: Any, transcript: Any) -> None:
    terminal = await shell("read a; read b", size=Size(10, 20))
    async with terminal.attach() as view:
        await terminal.resize("me", Size(11, 21))
        await terminal.resize("me", Size(12, 22))
        assert view.resizes == (Resize(0, Size(12, 22)),)
        await terminal.write(b"x\n")
        await transcript(view).until(b"x\r\n")
        await terminal.resize("me", Size(13, 23))
        assert view.resizes == (Resize(0, Size(12, 22)), Resize(3, Size(13, 23)))


async def test_only_sizes_that_the_scrollback_was_written_for_are_kept(
    counting: Any, transcript: Any
) -> None:
    terminal = await counting(101000, f"read go; {COUNT.format(101000)}; read go")
    first, second = Size(20, 70), Size(30, 90)
    async with terminal.attach(mode=LOSSLESS) as view:
        await terminal.write(b"\n")
        await transcript(view).until(b"100999\n")
        await terminal.resize("me", first)
        await terminal.write(b"\n")
        await transcript(view).until(b"100999\n")
        await terminal.resize("me", second)
        assert [each.size for each in view.resizes] == [first, second]


@pytest.mark.requirement("R7.4")
async def test_a_lossless_viewer_that_sleeps_makes_the_process_wait(
    counting: Any, transcript: Any
) -> None:
    terminal = await counting(110000)
    whole = b"\r\n" + counted(100000, 110000)
    async with (
        terminal.attach(mode=LOSSLESS) as sleeper,
        terminal.attach(mode=LOSSY) as awake,
    ):
        await terminal.write(b"\n")
        seen = transcript(awake)
        await seen.until(whole[:4096])
        # The ring is full of what the sleeper has not seen; whoever is awake sees no more.
        assert seen.seen == whole[:4096]
        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
            await anext(awake)
        assert sleeper.snapshot + await rest(sleeper) == whole
    assert (await terminal.exited()).code == 0


@pytest.mark.requirement("R7.4")
async def test_a_lossless_viewer_that_closes_does_not_block_the_process(
    counting: Any, transcript: Any
) -> None:
    terminal = await counting(110000)
    async with terminal.attach(mode=LOSSLESS):
        await terminal.write(b"\n")
        async with terminal.attach(mode=LOSSY) as awake:
            await transcript(awake).until(b"100500")
    await terminal.drained()
    async with terminal.attach() as view:
        assert view.snapshot == counted(100000, 110000)[-4096:]


@pytest.mark.requirement("R7.4")
async def test_a_cancelled_lossless_viewer_holds_up_nobody(counting: Any) -> None:
    terminal = await counting(110000)
    async with anyio.create_task_group() as viewers:

        async def view(*, task_status: Any) -> None:
            async with terminal.attach(mode=LOSSLESS):
                task_status.started()
                await anyio.sleep_forever()

        await viewers.start(view)
        await terminal.write(b"\n")
        viewers.cancel_scope.cancel()
    await terminal.drained()


@pytest.mark.requirement("R7.4")
async def test_a_lossless_viewer_that_sleeps_through_the_end_misses_nothing(counting: Any) -> None:
    # 4096 bytes of scrollback full of unseen output, and more of it in the kernel at the exit.
    terminal = await counting(100000 + 585 + 1000)
    async with terminal.attach(mode=LOSSLESS) as sleeper:
        await terminal.write(b"\n")
        assert (await terminal.exited()).code == 0
        await terminal.drained()
        assert sleeper.snapshot + await rest(sleeper) == b"\r\n" + counted(100000, 101585)


async def test_a_lossless_viewer_that_sleeps_does_not_hinder_the_end(
    counting: Any, transcript: Any
) -> None:
    terminal = await counting(999999)
    async with terminal.attach(mode=LOSSLESS) as sleeper:
        await terminal.write(b"\n")
        async with terminal.attach() as view:
            await transcript(view).until(b"100500")
        assert (await terminal.terminate(PATIENCE)).signal == 15
        items = [item async for item in sleeper]
    seen = b"".join(item.data for item in items if isinstance(item, Chunk))
    assert (b"\r\n" + counted(100000, 999999)).find(seen[-4096:]) > 0


async def test_a_viewer_that_left_sees_the_end_at_once(shell: Any) -> None:
    terminal = await shell("echo something")
    await terminal.drained()
    async with terminal.attach() as view:
        pass
    assert [item async for item in view] == []
