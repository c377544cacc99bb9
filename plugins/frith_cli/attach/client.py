"""Attaches this terminal to the terminal of a session, until either ends or the user detaches."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from frith import Ended, Output, Redraw, View
from frith.errors import LineTooLongError, TerminalBusyError, TerminalClosedError
from frith.logs import printable
from frith.ports import Gap
from frith_cli.attach.keys import DetachKey, Press, key_name
from frith_cli.attach.modes import Modes
from frith_cli.attach.shown_in_itself import Mark, without_marks
from frith_cli.attach.tty import Tty, raw_tty
from frith_cli.context import Interrupted

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream, ObjectSendStream, TaskStatus

    from frith.model import Session
    from frith.ports import Terminal

# SIGINT, SIGTERM and SIGHUP stay with the caller: between two handlers, a second signal, as a
# closing window sends it, would kill the process.
_HANDLED = (signal.SIGQUIT, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
_PENDING_READS = 64
_SECONDS_TO_LEAVE = 1.0


def ends_with_its_host(terminal: str | None) -> bool:
    """Return whether processes of this terminal provider end with their host."""
    return terminal in (None, "pty")


async def attach(
    view: View,
    session: Session,
    *,
    detach_key: bytes,
    read_only: bool = False,
    source: int = 0,
    target: int = 1,
) -> Ended | None:
    """Show ``view``, that of ``session``, in this terminal, and pass input on to it.

    Returns how the process ended; ``None`` if the user detached.

    This terminal is always restored, with the modes that the program has changed: after
    exceptions, cancellation, SIGQUIT (which ends the attachment) and SIGTSTP (which suspends it).
    For the other signals that end a command, the caller cancels.

    Args:
        view: a view at the size of this terminal's window.
        session: the session.
        detach_key: ends the attachment; pressed twice, if the process ends with this command.
        read_only: whether the view is.
        source: descriptor of the terminal to read from.
        target: descriptor of the terminal to write to.

    Raises:
        Interrupted: by SIGQUIT; by SIGHUP also if this terminal has gone.
        NotATerminalError: ``source`` or ``target`` is not a terminal.
        ShownInItselfError: this terminal is shown in that session.
    """
    with anyio.open_signal_receiver(*_HANDLED) as signals, raw_tty(source, target) as tty:
        attached = _Attached(view, tty, session, detach_key, read_only=read_only)
        try:
            return await attached.run(signals)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            with anyio.move_on_after(_SECONDS_TO_LEAVE, shield=True):
                await attached.leave()


class _Attached:
    """The tasks of one attachment, and their state."""

    def __init__(
        self, view: View, tty: Tty, session: Session, key: bytes, *, read_only: bool
    ) -> None:
        self._view = view
        self._tty = tty
        self._read_only = read_only
        self._name = printable(session.name)
        self._ends_with_us = ends_with_its_host(session.details.terminal)
        self._key = DetachKey(key, asks=self._ends_with_us)
        self._key_name = key_name(key)
        self._mark = Mark(session)
        self._modes = Modes()
        self._modes_left = False
        self._scope = anyio.CancelScope()
        self._tasks = anyio.create_task_group()
        self._has_other_size = False
        self._ended: Ended | None = None

    async def run(self, signals: AsyncIterator[signal.Signals]) -> Ended | None:
        typed, pending = anyio.create_memory_object_stream[bytes](_PENDING_READS)
        with self._scope:
            async with typed, pending, self._tasks as tasks:
                tasks.start_soon(self._handle, signals)
                await self._write(self._modes.begin())
                tasks.start_soon(self._show)
                tasks.start_soon(self._read, typed)
                tasks.start_soon(self._type, pending)
        return self._ended

    async def _write(self, output: bytes) -> None:
        if not await self._tty.write(output):
            raise Interrupted(signal.SIGHUP)

    async def _note(self, text: str) -> None:
        await self._write(f"\r\n[frith] {text}\r\n".encode())

    async def _show(self) -> None:
        """Show the view until the process ends."""
        terminal: Terminal | None = None
        async for shown in self._view:
            if terminal is not self._view.terminal:
                terminal = self._view.terminal
                await self._tasks.start(self._look_for_loops, terminal)
                if isinstance(shown, Output):
                    await self._write(self._mark.sequence)
            match shown:
                case Redraw(data, size):
                    self._has_other_size = self._view.size not in (None, size)
                    await self._tty.end_cut_sequence()
                    await self._write(self._mark.sequence + self._modes.clear())
                    await self._pass_on(without_marks(data))
                case Output(data):
                    self._has_other_size = False
                    await self._pass_on(data)
                case Ended():
                    self._ended = shown
                    self._scope.cancel()
                    return

    async def _look_for_loops(self, terminal: Terminal, *, task_status: TaskStatus[None]) -> None:
        """Look for marks in all of the output, also where screens are shown in its place."""
        async with terminal.attach() as output:
            task_status.started()
            is_old = False
            async for piece in output:
                if isinstance(piece, Gap):
                    if self._mark.sequence:
                        self._view.redraw()  # writes it again, where it cuts no other sequence
                elif not is_old and (marks := self._mark.look(piece.data)) and self._has_other_size:
                    await self._write(marks)
                is_old = isinstance(piece, Gap)

    async def _pass_on(self, output: bytes) -> None:
        self._modes.feed(output)
        await self._write(output)

    async def _read(self, typed: ObjectSendStream[bytes]) -> None:
        """Read input, so that the detach key works also while the process reads nothing."""
        while data := await self._tty.read():
            if not self._tty.is_raw:  # some shells send no SIGCONT to a job that was running
                await self._continue()
            for part in self._key.feed(data):
                if isinstance(part, bytes):
                    await typed.send(part)
                elif part is Press.DETACH:
                    self._scope.cancel()
                else:
                    await self._note(
                        f"Detaching ends the process of {self._name}, which needs this command. "
                        f"Press {self._key_name} again to detach, any other key to continue."
                    )
        raise Interrupted(signal.SIGHUP)

    async def _type(self, pending: ObjectReceiveStream[bytes]) -> None:
        """Pass input on to the process."""
        async for data in pending:
            try:
                if not self._read_only:
                    await self._view.write(data)
            except (LineTooLongError, TerminalBusyError) as error:
                await self._note(str(error))
            except TerminalClosedError:  # _show reports the rest of the output and the end
                return

    async def _fit(self) -> None:
        """Redraw at the size of this window, which the process gets."""
        if size := self._tty.size():
            await self._view.resize(size)
        else:
            self._view.redraw()

    async def _handle(self, signals: AsyncIterator[signal.Signals]) -> None:
        async for number in signals:
            if number == signal.SIGQUIT:
                raise Interrupted(number)
            if number == signal.SIGTSTP:
                await self._suspend()
            elif number == signal.SIGCONT:
                await self._continue()
            else:
                await self._fit()

    async def leave(self) -> None:
        """Restore the modes of this terminal."""
        with suppress(Interrupted):  # this terminal has gone
            await self._leave_modes()
            if self._scope.cancel_called and self._ended is None:
                fate = "ends now" if self._ends_with_us else "is still running"
                await self._note(f"Detached: the process of {self._name} {fate}.")

    async def _leave_modes(self) -> None:
        if not self._modes_left:
            self._modes_left = True
            size = self._tty.size()
            await self._tty.end_cut_sequence()
            await self._write(self._modes.leave(size.columns if size else 0))

    async def _suspend(self) -> None:
        """Restore the terminal, and stop as a program without a handler does."""
        await self._leave_modes()
        with anyio.move_on_after(_SECONDS_TO_LEAVE):  # who sees nothing answers no queries
            await self._view.terminal.leave(self._view.viewer)
        self._tty.leave()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # sent to this thread, so it stops before the next line
        signal.signal(signal.SIGTSTP, handler)
        await self._continue()

    async def _continue(self) -> None:
        """Enter raw mode again and redraw; the shell and other jobs have used the terminal."""
        if not self._tty.enter():
            return
        if self._modes_left:
            self._modes_left = False
            await self._write(self._modes.begin() + self._modes.enter())
        await self._fit()
        with suppress(TerminalClosedError):
            await self._view.terminal.signal(signal.SIGWINCH)
