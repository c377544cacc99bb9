"""The output of a process that a keeper has, as viewers see it."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import anyio
import pytest

from frith.errors import TerminalBusyError, TerminalClosedError
from frith.ports import AttachMode, Chunk, Gap
from views import rest
from waiting import unchanged

LOSSLESS, LOSSY = AttachMode.LOSSLESS, AttachMode.LOSSY
BOTH = pytest.mark.parametrize("mode", [LOSSLESS, LOSSY])
COUNT = "seq -f %06.0f 100000 {}"
"""Writes lines of 8 bytes, as the terminal shows them; each tells where it belongs."""
SCROLLBACK = 8192
SPARE = 64 * 1024
LAST = 129_999
"""Three times what is kept, and more than a kernel holds."""


def counted(start: int, stop: int) -> bytes:
    return b"".join(b"%d\r\n" % n for n in range(start, stop + 1))


WHOLE = counted(100_000, LAST)


@pytest.fixture
def counting(other: Any, shell: Any) -> Any:
    """Starts what counts when it is told to, where the least is kept."""

    async def start(host: Any, then: Any = "") -> Any:
        return await shell(
            f"stty -echo; echo ready; read go; {COUNT.format(LAST)}; {then}", of=host
        )

    return start


@pytest.fixture
async def small(other: Any) -> Any:
    async with other(scrollback=SCROLLBACK) as host:
        yield host


async def begin(terminal: Any, tools: Any) -> Any:
    """Wait until it is ready; return how much it has written by then."""
    return len(await tools.see(terminal, b"ready\r\n"))


async def test_a_lossless_viewer_gets_every_byte_and_holds_the_process_up(
    small: Any, counting: Any, tools: Any
) -> None:
    terminal = await counting(small)
    start = await begin(terminal, tools)
    async with terminal.attach(mode=LOSSLESS) as slow, terminal.attach(mode=LOSSY) as quick:
        await terminal.write(b"\n")
        seen = b""
        with anyio.fail_after(tools.patience):
            while len(seen) < SCROLLBACK:
                seen += (await anext(aiter(quick))).data
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            await anext(aiter(quick))
        assert len(seen) == SCROLLBACK, "it waits for the slow one"
        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
            await terminal.exited()
        with anyio.fail_after(tools.patience):
            assert await rest(slow) == WHOLE
    assert start + len(WHOLE) == terminal._ring.end
    assert (await terminal.exited()).code == 0


@pytest.mark.parametrize("leaves", ["detaches", "closes", "terminates"])
async def test_a_lossless_viewer_that_leaves_holds_nothing_up(
    small: Any, other: Any, counting: Any, record: Any, tools: Any, leaves: Any
) -> None:
    terminal = await counting(small)
    await begin(terminal, tools)
    async with other() as host:
        there = await host.adopt(record(terminal))
        async with there.attach(mode=LOSSLESS):
            await terminal.write(b"\n")
            if leaves == "terminates":
                with anyio.fail_after(tools.patience):
                    await terminal.terminate(0)
                return
            if leaves == "closes":
                host.close()
        with anyio.fail_after(tools.patience):
            assert (await terminal.exited()).code == 0


async def test_a_lossless_viewer_that_is_cancelled_while_it_comes_holds_nothing_up(
    small: Any, counting: Any, tools: Any
) -> None:
    terminal = await counting(small)
    await begin(terminal, tools)
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with terminal.attach(mode=LOSSLESS):
            pytest.fail("it has come")
    await terminal.write(b"\n")
    with anyio.fail_after(tools.patience):
        assert (await terminal.exited()).code == 0


@pytest.fixture
def clogged(keeper_of: Any) -> Any:
    """Stops the keeper of a terminal, and fills what leads to it."""

    @asynccontextmanager
    async def clog(terminal: Any, *, writer_stays: Any = False) -> Any:
        async def write() -> None:
            with suppress(TerminalBusyError, TerminalClosedError):
                await terminal.write(b"\n" * 1_000_000)

        async with anyio.create_task_group() as writers:
            os.kill(keeper_of(terminal), signal.SIGSTOP)
            writers.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            if not writer_stays:
                writers.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                yield
            writers.cancel_scope.cancel()

    return clog


@pytest.mark.parametrize(("viewers", "writer_stays"), [(1, True), (1, False), (2, False)])
async def test_lossless_viewers_that_leave_while_the_keeper_does_not_read_hold_nothing_up(
    small: Any,
    counting: Any,
    keeper_of: Any,
    clogged: Any,
    tools: Any,
    viewers: Any,
    writer_stays: Any,
) -> None:
    terminal = await counting(small)
    await begin(terminal, tools)
    async with AsyncExitStack() as views:
        for _ in range(viewers):
            await views.enter_async_context(terminal.attach(mode=LOSSLESS))
        await terminal.write(b"\n")
        async with clogged(terminal, writer_stays=writer_stays):
            await views.aclose()
            os.kill(keeper_of(terminal), signal.SIGCONT)
            with anyio.fail_after(tools.patience):
                assert (await terminal.exited()).code == 0


async def test_a_keeper_that_does_not_read_does_not_hold_up_a_host_that_closes(
    other: Any, shell: Any, keeper_of: Any, clogged: Any, tools: Any
) -> None:
    with anyio.fail_after(tools.patience):
        async with other(answer_timeout=10 * tools.patience) as host:
            terminal = await shell("echo ready; sleep 100", of=host)
            await begin(terminal, tools)
            async with AsyncExitStack() as views:
                await views.enter_async_context(terminal.attach(mode=LOSSLESS))
                async with clogged(terminal):
                    await views.aclose()
    os.kill(keeper_of(terminal), signal.SIGCONT)


async def test_a_terminating_process_can_write_much_while_a_lossless_viewer_sleeps(
    small: Any, shell: Any, tools: Any
) -> None:
    script = f"trap '{COUNT.format(LAST)}; exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    terminal = await shell(script, of=small)
    async with terminal.attach(mode=LOSSLESS):
        await tools.see(terminal, b"ready")
        assert (await terminal.terminate(tools.patience)).code == 3


async def test_a_lossless_viewer_of_a_host_that_is_killed_holds_nothing_up(
    start_host: Any, spawner: Any, tools: Any
) -> None:
    host = start_host(f"echo ready; read go; {COUNT.format(LAST)}; echo end")
    terminal = await spawner.adopt(host.session)
    host.process.kill()
    host.gone()
    await terminal.write(b"\n")
    assert (await tools.everything(terminal)).endswith(WHOLE[-4096:] + b"end\r\n")


async def test_a_lossless_viewer_of_another_host_gets_every_byte(
    small: Any, other: Any, counting: Any, record: Any, tools: Any
) -> None:
    terminal = await counting(small)
    await begin(terminal, tools)
    async with other() as host:
        there = await host.adopt(record(terminal))
        async with there.attach(mode=LOSSLESS) as view:
            await terminal.write(b"\n")
            with anyio.fail_after(tools.patience):
                assert await rest(view) == WHOLE


async def test_a_lossy_viewer_that_sleeps_is_told_of_the_gap(
    small: Any, counting: Any, tools: Any
) -> None:
    terminal = await counting(small)
    start = await begin(terminal, tools)
    async with terminal.attach(mode=LOSSY) as view:
        assert len(view.snapshot) == start
        await terminal.write(b"\n")
        with anyio.fail_after(tools.patience):
            await terminal.drained()
            items = [item async for item in view]
    missed = len(WHOLE) - (SCROLLBACK + SPARE)
    assert items == [Gap(start, missed), Chunk(start + missed, WHOLE[missed:])]


@pytest.mark.parametrize("asked", [None, 0, 3000])
async def test_the_scrollback_is_bounded_and_has_its_offset(
    small: Any, counting: Any, tools: Any, asked: Any
) -> None:
    terminal = await counting(small)
    start = await begin(terminal, tools)
    await terminal.write(b"\n")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    async with terminal.attach(from_offset=asked) as view:
        assert SCROLLBACK <= len(view.snapshot) <= SCROLLBACK + SPARE
        assert WHOLE.endswith(view.snapshot)
        assert view.offset + len(view.snapshot) == start + len(WHOLE)


@BOTH
async def test_two_hosts_see_a_flood_wrap_around_and_every_byte_is_where_it_belongs(
    small: Any, other: Any, record: Any, shell: Any, tools: Any, mode: AttachMode
) -> None:
    # Numbered bytes, far more than the ring has, read while they come.
    last = 399_999
    terminal = await shell(
        f"stty -echo -opost; echo ready; read go; seq -f %07.0f 1000000 1{last}", of=small
    )
    await tools.see(terminal, b"ready\n")
    seen = []
    async with other() as host:
        there = await host.adopt(record(terminal))

        async def view(terminal: Any, attached: Any) -> None:
            async with terminal.attach(mode=mode) as view:
                attached.set()
                position = len(b"ready\n")
                assert view.offset + len(view.snapshot) == position
                async for item in view:
                    assert item.offset == position
                    if isinstance(item, Gap):
                        assert mode is LOSSY
                        position += item.missed
                    else:
                        check(item.data, position - len(b"ready\n"))
                        position += len(item.data)
                seen.append(position - len(b"ready\n"))

        with anyio.fail_after(tools.patience):
            async with anyio.create_task_group() as viewers:
                for each in (terminal, there):
                    attached = anyio.Event()
                    viewers.start_soon(view, each, attached)
                    await attached.wait()
                await terminal.write(b"\n")
    assert seen == [8 * (last + 1)] * 2


def check(data: bytes, offset: int) -> None:
    first, last = offset // 8, (offset + len(data)) // 8 + 1
    whole = b"".join(b"%d\n" % (1_000_000 + n) for n in range(first, last))
    assert data == whole[offset - first * 8 :][: len(data)]


async def test_a_keeper_at_rest_is_not_woken(shell: Any, keeper_of: Any, tools: Any) -> None:
    terminal = await shell("echo ready; exec sleep 100")
    await tools.see(terminal, b"ready")
    keeper = keeper_of(terminal)

    def switches() -> Any:
        with open(f"/proc/{keeper}/status") as status:
            return [line for line in status if "ctxt_switches" in line]

    await terminal.signal(signal.SIGWINCH)
    await unchanged(switches, 1)
    assert os.sched_getscheduler(keeper) == os.SCHED_OTHER
