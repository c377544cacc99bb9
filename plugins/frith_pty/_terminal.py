"""One process in one pseudo-terminal."""

from __future__ import annotations

import os
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from anyio import (
    CancelScope,
    Lock,
    current_time,
    lowlevel,
    move_on_after,
    wait_readable,
)
from pydantic import JsonValue

from frith.errors import TerminalClosedError
from frith.logs import log
from frith.model import ExitStatus, SessionId
from frith.ports import Attachment, AttachMode, Foreground, Screen, Size, Terminal
from frith_pty._group import Group
from frith_pty._home import Home
from frith_pty._input import Input
from frith_pty._leader import Leader
from frith_pty._output import Output, Pumped
from frith_pty._windows import Windows
from frith_terminals.ending import ask_to_end, end_all, hang_up
from frith_terminals.environment import TERMINAL_ID
from frith_terminals.foreground import Written, foreground
from frith_terminals.processes import Process, environ_of, stat_of
from frith_terminals.readiness import Latch
from frith_terminals.sizes import SizePolicy
from frith_terminals.viewing import Viewer, screen

_SETTLE = 0.1
"""Seconds after the exit within which output still counts if others hold the terminal."""
_LATE = 64 * 1024
"""Bytes after the exit that still count then; a kernel holds back less."""
_HANGUP_GRACE = 0.5
_CLOSE_LIMIT = 10.0


class PtyTerminal(Terminal):
    """A terminal whose master end this process holds.

    *exited* and *drained* are two events: output may come after the exit. The leader is reaped
    when both have happened and nobody is ending the session.
    """

    __slots__ = (
        "_drained",
        "_ending",
        "_exited",
        "_group",
        "_home",
        "_input",
        "_leader",
        "_output",
        "_paused",
        "_queued",
        "_ref",
        "_session_id",
        "_slave",
        "_slave_path",
        "_status",
        "_users",
        "_windows",
        "_written",
        "terminal_id",
    )

    def __init__(
        self,
        home: Home,
        leader: Leader,
        group: Group | None,
        *,
        session_id: SessionId,
        terminal_id: str,
        master: int,
        slave_path: str,
        ref: dict[str, JsonValue],
        size: Size,
        scrollback: int,
        write_timeout: float,
        size_policy: SizePolicy,
    ) -> None:
        """Take charge of ``leader``, its group, and ``master``, which does not block."""
        self.terminal_id = terminal_id
        self._home = home
        self._leader = leader
        self._group = group
        self._session_id = session_id
        self._slave_path = slave_path
        self._ref = ref
        self._output = Output(master, scrollback, size, self._go_on)
        self._input = Input(master, write_timeout)
        self._windows = Windows(size_policy)
        self._status: ExitStatus | None = None
        self._exited, self._drained = Latch(), Latch()
        self._paused = self._queued = False
        self._slave: int | None = None
        self._ending: Lock | None = None
        self._users = 0
        self._written = Written()
        home.readiness.watch(master, self._on_readable)
        home.readiness.watch(leader.fd, self._on_exit)
        home.terminals.add(self)
        home.stops.stir()

    @property
    def session_id(self) -> SessionId:
        """The session whose process this is."""
        return self._session_id

    @property
    def pid(self) -> int:
        """Process id of the process."""
        return self._leader.pid

    @property
    def ref(self) -> dict[str, JsonValue]:
        """``pid``, ``startTime``, ``bootId`` and ``pidNamespace`` of the process."""
        return dict(self._ref)

    @asynccontextmanager
    async def attach(
        self, from_offset: int | None = None, mode: AttachMode = AttachMode.LOSSY
    ) -> AsyncIterator[Attachment]:
        """View the output; see :class:`Output` for how far a lossless viewer holds it up."""
        viewer = Viewer(self._output, from_offset, mode)
        self._output.add(viewer)
        try:
            yield viewer
        finally:
            self._output.remove(viewer)

    async def write(self, data: bytes) -> None:
        """Send input to the process; see ``Terminal.write``."""
        self._written = Written(self._written.total + len(data), self._output.ring.end)
        self._home.stops.stir()
        await self._input.write(data)

    async def resize(self, viewer: str, size: Size) -> None:
        """Take note of a viewer's window; the option ``size`` says whose size holds."""
        if not all(1 <= cells <= 0xFFFF for cells in (size.rows, size.columns)):
            raise ValueError(f"A terminal cannot have {size.rows} rows and {size.columns} columns.")
        self._check_running()
        self._set_size(self._windows.add(viewer, size))

    async def leave(self, viewer: str) -> None:
        """Forget a viewer's window; see ``Terminal.leave``."""
        size = self._windows.remove(viewer)
        if size and self._status is None:
            self._set_size(size)

    def _set_size(self, size: Size) -> None:
        termios.tcsetwinsize(self._output.master, (size.rows, size.columns))
        self._output.resized(size)

    async def screen(self, size: Size | None = None) -> Screen:
        """Return the screen as it is; see ``Terminal.screen``."""
        return await screen(self._output.picture, size)

    async def foreground(self) -> Foreground | None:
        """Look who has the terminal, and what it waits for; see ``Terminal.foreground``."""
        await lowlevel.checkpoint()
        if self._status is not None:
            return None
        return foreground(self._output.master, self.pid, self._slave_path, self._written)

    async def signal(self, number: int) -> None:
        """Send a signal to the process group of the process; see ``Terminal.signal``."""
        self._check_running()
        self._leader.signal_group(number)
        self._home.stops.stir()

    def continue_if_stopped(self) -> bool:
        """Continue the process if it has stopped itself; return whether it had."""
        return self._leader.continue_if_stopped()

    async def exited(self) -> ExitStatus:
        """Wait for the process to end."""
        while (status := self._status) is None:
            await self._exited.wait()
        return status

    async def drained(self) -> None:
        """Wait until the process has ended and its output has been read."""
        await self._drained.wait()

    async def terminate(self, grace: float) -> ExitStatus:
        """End every process of the session; see ``Terminal.terminate``.

        Those are the processes of its kernel session, whatever their process groups, those that
        left it and still carry this terminal's identity in their environment, and all in its
        control group if it has one. From now on
        no lossless viewer holds anything up. Cancelled, it leaves things as they are then.
        """
        return await self._end(grace, ask_to_end)

    async def aclose(self) -> None:
        """Hang up, kill what stays, and release every descriptor, within some seconds."""
        with move_on_after(_CLOSE_LIMIT):
            await self._end(_HANGUP_GRACE, hang_up)
        if not self._drained.happened:
            log.warning("terminal_not_ended", session_id=self._session_id, pid=self.pid)
            self._stop_watching()
            await self._close()
        self._reap()

    async def _end(self, grace: float, ask: Callable[[Process], None]) -> ExitStatus:
        self._output.release()
        self._go_on()
        if self._ending is None:
            self._ending = Lock()
        self._users += 1
        try:
            async with self._ending:
                kill = self._group.kill if self._group else None
                await end_all(self._is_ours, grace, ask, kill)
                await self.drained()
        finally:
            self._users -= 1
            self._reap()
        return await self.exited()

    def _is_ours(self, pid: int) -> bool:
        # The session id is the leader's process id: nobody else's while it is not reaped.
        if not self._leader.reaped and (stat := stat_of(pid)) and stat.session == self.pid:
            return True
        if self._group and self._group.holds(pid):
            return True
        return f"{TERMINAL_ID}={self.terminal_id}".encode() in (environ_of(pid) or ())

    def _check_running(self) -> None:
        if self._status is not None:
            raise TerminalClosedError("The process has ended; resume its session first.")

    def _on_readable(self) -> None:
        self._home.stops.stir()
        pumped = self._output.pump(self._turn)
        if pumped is Pumped.BLOCKED:
            self._home.readiness.unwatch(self._output.master)
            self._paused = True
        elif pumped is Pumped.HANGUP:
            self._hold_other_end()
        elif pumped is not Pumped.LITTLE and self._home.is_crowded:
            self._home.readiness.unwatch(self._output.master)
            self._queued = True
            self._home.queue(self._take_turn)

    def _turn(self) -> float:
        return self._home.turn(self.terminal_id)

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._home.readiness.watch(self._output.master, self._on_readable)

    def _take_turn(self) -> None:
        if self._queued:
            self._queued = False
            self._home.readiness.watch(self._output.master, self._on_readable)

    def _hold_other_end(self) -> None:
        # A process that lives on without its terminal would make the master readable all the
        # time; it may come back through /dev/tty, so we hold the other end until it has ended.
        if self._slave is None:
            with suppress(OSError):
                self._slave = os.open(self._slave_path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
                return
        self._home.readiness.unwatch(self._output.master)

    def _stop_watching(self) -> None:
        self._home.readiness.unwatch(self._leader.fd)
        self._home.readiness.unwatch(self._output.master)
        self._paused = self._queued = False

    def _on_exit(self) -> None:
        status = self._leader.status()
        if status is not None:
            self._home.readiness.unwatch(self._leader.fd)
            self._home.readiness.hand_over(lambda: self._note_exit(status))

    def _note_exit(self, status: ExitStatus) -> None:
        self._stop_watching()
        self._status = status
        self._input.close()
        self._output.release()
        self._exited.set()
        self._home.tasks.start_soon(self._finish)

    async def _finish(self) -> None:
        # What has begun ends whatever is cancelled around it; it is bounded by itself.
        with CancelScope(shield=True):
            await self._drain()
            await self._close()
            self._reap()

    async def _drain(self) -> None:
        """Read what is left.

        The first EIO is not final (Linux may report it with data still queued), the second in a
        row is. While a descendant holds the terminal there is none: then all is read when
        nothing is there some time after the exit.
        """
        self._release_other_end()
        deadline = current_time() + _SETTLE
        last = self._output.ring.end + _LATE
        hangups = 0
        while hangups < 2 and self._output.ring.end < last:
            pumped = self._output.pump(self._turn)
            hangups = hangups + 1 if pumped is Pumped.HANGUP else 0
            if pumped is not Pumped.EMPTY:
                await lowlevel.checkpoint()
            elif (left := deadline - current_time()) > 0:
                with move_on_after(left):
                    await wait_readable(self._output.master)
            else:
                break

    async def _close(self) -> None:
        self._release_other_end()
        self._input.close()
        await self._input.released()
        if not self._output.closed:
            os.close(self._output.master)
            self._output.close()
            self._drained.set()

    def _release_other_end(self) -> None:
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None

    def _reap(self) -> None:
        if self._drained.happened and not self._users:
            self._leader.reap()
            if self._group:
                self._group.remove()
            self._home.terminals.discard(self)
