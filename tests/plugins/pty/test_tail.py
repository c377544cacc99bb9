"""All output that a process wrote before it exited is read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from frith.ports import AttachMode, SpawnRequest
from frith_os.pty import output
from waiting import PATIENCE

WRITE = "stty -opost; head -c {} /dev/zero | tr '\\0' x"


@pytest.mark.requirement("R7.4")
async def test_a_tail_arrives_although_a_descendant_holds_the_terminal(
    shell: Any, output_of: Any
) -> None:
    terminal = await shell(f"sleep 100 & {WRITE.format(9000)}")
    assert await output_of(terminal) == b"x" * 9000


@pytest.mark.requirement("R7.4")
async def test_output_after_the_first_eio_is_read(
    shell: Any, output_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Linux reports one now and then while output is still on its way.
    terminal = await shell("read go; echo all")
    read, early, master = os.read, iter([True]), terminal._output.master

    def reading(fd: int, most: int) -> bytes:
        if fd == master and terminal._status is not None and next(early, False):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(fd, most)

    with monkeypatch.context() as patched:
        patched.setattr(os, "read", reading)
        terminal._shared.readiness.unwatch(terminal._output.master)
        await terminal.write(b"\n")
        assert await output_of(terminal) == b"\r\nall\r\n"
    assert next(early, None) is None


@pytest.mark.requirement("R7.4")
async def test_output_in_the_kernel_at_the_exit_is_read(python: Any, output_of: Any) -> None:
    terminal = await python("import os, tty; tty.setraw(1); os.write(1, b'x' * 12000); os._exit(0)")
    assert await output_of(terminal) == b"x" * 12000


@pytest.mark.requirement("R7.5")
async def test_the_exit_comes_before_the_last_output_is_read(
    opened: Any, request_for: Callable[..., SpawnRequest]
) -> None:
    async with opened(scrollback=4096) as spawner:
        terminal = await spawner.spawn(request_for("sh", "-c", WRITE.format(12000)))
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
            assert (await terminal.exited()).code == 0
            await terminal.drained()
            assert sum([len(item.data) async for item in view], len(view.snapshot)) == 12000


async def test_a_process_without_its_terminal_may_come_back_to_it(
    shell: Any, transcript: Any
) -> None:
    terminal = await shell("exec <&- >&- 2>&-; sleep 0.1; echo back >/dev/tty; sleep 100")
    async with terminal.attach() as view:
        await transcript(view).until(b"back\r\n")
    await terminal.terminate(PATIENCE)


async def test_a_hung_up_terminal_does_not_wake_the_event_loop(
    shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = await shell("read go; exec <&- >&- 2>&-; sleep 0.2")
    reads = []
    read = output.Output.read

    def counted(self: output.Output, *turn: Any) -> output.Stopped:
        reads.append(1)
        return read(self, *turn)

    monkeypatch.setattr(output.Output, "read", counted)
    await terminal.write(b"\n")
    await terminal.drained()
    assert len(reads) < 10


async def test_a_hung_up_terminal_is_drained_where_its_slave_end_cannot_be_held(
    shell: Any, output_of: Any
) -> None:
    terminal = await shell("read go; exec <&- >&- 2>&-; sleep 0.1; echo back >/dev/tty")
    terminal._output._tty = "/dev/pts/none"
    await terminal.write(b"\n")
    assert await output_of(terminal) == b"\r\nback\r\n"


async def test_a_descendant_that_goes_on_writing_does_not_keep_it_from_being_drained(
    shell: Any, transcript: Any
) -> None:
    # Ignoring the hangup, it opens the terminal anew: its descriptors were hung up with it.
    late = "(sleep 0.05; while echo late; do :; done >$T 2>/dev/null) &"
    terminal = await shell(f'trap "" HUP; T=$(tty); {late} echo end')
    with anyio.fail_after(PATIENCE):
        await terminal.drained()
    assert (await terminal.exited()).code == 0
    await terminal.terminate(0)
