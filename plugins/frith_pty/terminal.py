"""One process in one pseudo-terminal."""

from __future__ import annotations

import signal
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from anyio import (
    CancelScope,
    CapacityLimiter,
    Lock,
    lowlevel,
    move_on_after,
    wait_readable,
    wait_writable,
)
from anyio.abc import TaskGroup
from pydantic import JsonValue

from frith.errors import LineTooLongError, TerminalBusyError
from frith.logs import log
from frith.model import ExitStatus
from frith.ports import Foreground, Size
from frith_os.processes import Process, stat_of
from frith_os.pty.input import LINE_LIMIT, Input, Write
from frith_os.pty.output import Stopped
from frith_os.pty.windows import Windows
from frith_pty.start import Started
from frith_pty.stops import Stops
from frith_pty.turns import Turns
from frith_terminals.answering import Answering
from frith_terminals.ending import ask_to_end, end_all, hang_up
from frith_terminals.foreground import Written, foreground
from frith_terminals.options import TerminalOptions
from frith_terminals.queries import Query
from frith_terminals.readiness import Readiness
from frith_terminals.terminal import ViewedTerminal, checked
from frith_terminals.viewing import Viewers

_HANGUP_GRACE = 0.5
_CLOSE_LIMIT = 10.0
_TURN = 256 * 1024
"""Bytes that are read in one turn of the event loop at most."""


@dataclass(slots=True)
class Shared:
    """The state that the terminals of one spawner share."""

    tasks: TaskGroup
    readiness: Readiness
    stops: Stops
    turns: Turns
    limiter: CapacityLimiter | None
    """Limits the threads that look for processes."""
    terminals: set[PtyTerminal] = field(default_factory=set)
    """Those whose process has not been reaped."""


class PtyTerminal(ViewedTerminal):
    """A terminal whose master end this process holds.

    The child is reaped when it has exited, its output is drained and no call is ending the
    session.
    """

    __slots__ = (
        "_child",
        "_ending",
        "_group",
        "_input",
        "_is_queued",
        "_is_read",
        "_is_watched",
        "_output",
        "_ref",
        "_shared",
        "_tty",
        "_users",
        "_waiting",
        "_windows",
        "_writing",
    )

    def __init__(self, shared: Shared, started: Started, options: TerminalOptions) -> None:
        """Take charge of the process that was started."""
        self._shared = shared
        self._child = started.child
        self._group = started.group
        self._tty = started.tty
        self._ref = started.ref
        self._output = output = started.output
        viewers = Viewers(output.ring, output.sizes, self._hold, shared.readiness.later)
        output.due, output.keep_up = options.scrollback // 2, viewers.picture.keep_up
        super().__init__(started.request.session_id, started.terminal_id, viewers)
        self._input = Input(output.master, options.write_timeout, output.ring)
        self._windows = Windows(options.size)
        self._is_read = True
        """Whether the event loop reads; after the exit a task does."""
        self._is_watched = self._is_queued = False
        self._writing: Lock | None = None
        self._waiting: CancelScope | None = None
        self._ending: Lock | None = None
        self._users = 0
        viewers.on_queries = self._begin_to_answer
        self._watch()
        shared.readiness.watch(self._child.fd, self._on_exit)
        shared.terminals.add(self)
        shared.stops.stir()

    @property
    def pid(self) -> int:
        """Process id of the process."""
        return self._child.pid

    @property
    def ref(self) -> dict[str, JsonValue]:
        """``pid``, ``startTime``, ``bootId`` and ``pidNamespace`` of the process."""
        return dict(self._ref)

    async def write(self, data: bytes) -> None:
        """Send input to the process; see ``Terminal.write``."""
        self.check_running()
        self._shared.stops.stir()
        write = self._input.add(data)
        if write.is_over:
            # Only now, because it costs a tenth of an echo and the process already reads.
            await lowlevel.checkpoint_if_cancelled()
        else:
            try:
                await self._until_over(write)
            finally:
                self._input.drop(write)
        if write.longest:
            raise LineTooLongError(write.longest, LINE_LIMIT)
        if write.accepted < len(data):
            self.check_running()
            raise TerminalBusyError(write.accepted, len(data))

    async def _until_over(self, write: Write) -> None:
        async with self._writers():
            while not write.is_over:
                with move_on_after(max(0, write.deadline - monotonic())) as self._waiting:
                    await wait_writable(self._output.master)
                self._input.resume()

    def _writers(self) -> Lock:
        if self._writing is None:
            self._writing = Lock(fast_acquire=True)
        return self._writing

    async def resize(self, viewer: str, size: Size) -> None:
        """Record a viewer's window; the option ``size`` says whose size holds."""
        window = checked(size)
        self.check_running()
        self._fit(self._windows.add(viewer, window))

    async def leave(self, viewer: str) -> None:
        """Forget a viewer's window; see ``Terminal.leave``."""
        self._fit(self._windows.remove(viewer))

    def _fit(self, size: tuple[int, int] | None) -> None:
        if size is not None and self._status is None:
            termios.tcsetwinsize(self._output.master, size)
            self._output.resized(*size)

    def _begin_to_answer(self, queries: Sequence[Query]) -> None:
        """Have queries answered, the first ones and those to come."""
        viewers, shared = self._viewers, self._shared
        answering = Answering(viewers, shared.readiness, shared.tasks, self._claim, self._answer)
        answering.found(queries)

    async def _claim(self, queries: Sequence[int]) -> dict[int, str | None]:
        """Return who answers queries: the viewer that owns the size; all are this host's."""
        return dict.fromkeys(queries, self._windows.owner)

    async def _answer(self, _query: int, answer: bytes) -> None:
        await self.write(answer)

    async def foreground(self) -> Foreground | None:
        """Look up the foreground processes; see ``Terminal.foreground``."""
        await lowlevel.checkpoint()
        if self._status is not None:
            return None
        written = Written(self._input.count, self._input.at)
        return foreground(self._output.master, self.pid, self._tty, written)

    async def signal(self, number: int) -> None:
        """Send a signal to the process group of the process; see ``Terminal.signal``."""
        self.check_running()
        if number not in signal.valid_signals():
            raise ValueError(f"There is no signal {number}.")
        self._child.signal_group(number)
        self._shared.stops.stir()

    def continue_if_stopped(self) -> bool:
        """Continue the process if it has stopped itself; return whether it had."""
        return self._child.continue_if_stopped()

    async def terminate(self, grace: float) -> ExitStatus:
        """End every process of the session; see ``Terminal.terminate``.

        Those are the processes of its kernel session, whatever their process groups, those that
        left it and still carry this terminal's identity in their environment, and all in its
        control group if it has one. From now on no lossless viewer holds anything up. Cancelled,
        it leaves the rest running.
        """
        return await self._end(grace, ask_to_end)

    async def aclose(self) -> None:
        """Hang up, kill processes that stay, and release every descriptor, within some seconds."""
        with move_on_after(_CLOSE_LIMIT):
            await self._end(_HANGUP_GRACE, hang_up)
        if not self._drained.happened:
            log.warning("terminal_not_ended", session_id=self._session_id, pid=self.pid)
            self._shared.readiness.unwatch(self._child.fd)
            self._stop_reading()
            await self._close()
        self._reap()

    async def _end(self, grace: float, ask: Callable[[Process], None]) -> ExitStatus:
        self._output.release()
        self._watch()
        if self._ending is None:
            self._ending = Lock()
        self._users += 1
        try:
            async with self._ending:
                kill = self._group.kill if self._group else None
                await end_all(self._is_ours, grace, ask, kill, self._shared.limiter)
                await self.drained()
        finally:
            self._users -= 1
            self._reap()
        return await self.exited()

    def _is_ours(self, pid: int) -> bool:
        # The session id is the child's process id: no other process's while it is not reaped.
        if not self._child.is_reaped and (stat := stat_of(pid)) and stat.session == self.pid:
            return True
        return bool(self._group and self._group.holds(pid)) or self.has_identity(pid)

    def _hold(self, offset: int | None) -> None:
        self._output.hold(offset)
        self._watch()

    def _watch(self) -> None:
        """Have the event loop watch the master end exactly while it is to be read."""
        wanted = self._is_read and not self._is_queued and self._output.is_readable
        if wanted != self._is_watched:
            self._is_watched = wanted
            if wanted:
                self._shared.readiness.watch(self._output.master, self._on_readable)
            else:
                self._shared.readiness.unwatch(self._output.master)

    def _on_readable(self) -> None:
        self._shared.stops.stir()
        if self._read() is Stopped.LITTLE:
            return
        if self._shared.turns.is_crowded:
            self._is_queued = True
            self._shared.turns.queue(self._take_turn)
        self._watch()

    def _take_turn(self) -> None:
        self._is_queued = False
        self._watch()

    def _read(self) -> Stopped:
        output, before = self._output, self._output.ring.end
        stopped = output.read(_TURN, self._begin_turn)
        if output.ring.end > before:
            self._viewers.look()
        return stopped

    def _begin_turn(self) -> float:
        return self._shared.turns.begin(self.terminal_id)

    def _stop_reading(self) -> None:
        self._is_read = False
        self._watch()

    def _on_exit(self) -> None:
        try:
            ended = self._child.exit_status()
        except ChildProcessError:  # something else in this process waits for any child
            ended = {"code": 255}
            log.warning("terminal_exit_status_lost", pid=self.pid)
        if ended is not None:
            status = ExitStatus(**ended)
            self._shared.readiness.unwatch(self._child.fd)
            self._shared.readiness.hand_over(lambda: self._note_exit(status))

    def _note_exit(self, status: ExitStatus) -> None:
        self._stop_reading()
        self._status = status
        self._close_input()
        self._exited.set()
        self._shared.tasks.start_soon(self._finish)

    async def _finish(self) -> None:
        # Shielded: it has time limits of its own.
        with CancelScope(shield=True):
            await self._drain()
            await self._close()
            self._reap()

    async def _drain(self) -> None:
        """Read the rest of the output; see :class:`Output`."""
        self._output.process_ended()
        while (settle_at := self._output.drained_at) is not None:
            if self._read() is Stopped.EMPTY:
                with move_on_after(settle_at - monotonic()):
                    await wait_readable(self._output.master)
                self._output.settle()
            else:
                await lowlevel.checkpoint()

    def _close_input(self) -> None:
        self._input.close()
        if self._waiting is not None:
            self._waiting.cancel()

    async def _close(self) -> None:
        self._close_input()
        async with self._writers():  # no writer waits for the descriptor any more
            pass
        if self._output.master >= 0:
            self._output.close()
            self._viewers.close()
            self._drained.set()

    def _reap(self) -> None:
        if self._drained.happened and not self._users:
            self._child.reap()
            if self._group:
                self._group.remove()
            self._shared.terminals.discard(self)
