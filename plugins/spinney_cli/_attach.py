"""Attaches this terminal to the terminal of a session, until that ends or the user detaches."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import anyio

from spinney.errors import LineTooLongError, TerminalBusyError, TerminalClosedError
from spinney.logs import printable
from spinney.ports import Gap
from spinney_cli._modes import Modes
from spinney_cli._tty import Tty, raw_tty

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream, ObjectSendStream

    from spinney import SessionManager
    from spinney.model import ExitStatus, Session
    from spinney.ports import Terminal

DETACH_KEY = b"\x1d"
"""Ctrl-]."""

_ENDS_WITH_ITS_HOST = "pty"
# SIGINT, SIGTERM and SIGHUP stay the caller's: whoever takes them over must give them back, and a
# second one, which a closing window sends, would find nobody in between
_HANDLED = (signal.SIGQUIT, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
_PENDING_READS = 64
_SECONDS_TO_LEAVE = 1.0


@dataclass(frozen=True, slots=True)
class AttachOutcome:
    """Why a terminal is no longer attached; neither field given: the user detached."""

    exit: ExitStatus | None = None
    """How the process of the session ended."""
    interrupted: int | None = None
    """The signal that tells this command to end: ``SIGHUP`` when the terminal went away."""

    @property
    def detached(self) -> bool:
        """Whether the user detached."""
        return self.exit is None and self.interrupted is None


class Press(Enum):
    """What pressing the detach key means."""

    ASK = auto()
    DETACH = auto()


def key_name(key: bytes) -> str:
    """Return how a person calls ``key``: ``Ctrl-]`` for byte 29."""
    if len(key) == 1 and key < b" ":
        return f"Ctrl-{chr(key[0] | 0x40)}"
    return printable(key.decode("utf-8", "replace"))


class DetachKey:
    """Finds the detach key among what is typed."""

    def __init__(self, key: bytes, *, asks: bool) -> None:
        """Look for ``key``; with ``asks`` only pressing it twice running detaches."""
        code = ord(chr(key[0] | 0x40).lower()) if len(key) == 1 and key < b" " else 0
        # programs may switch a terminal to the kitty protocol or to xterm's modifyOtherKeys
        self._key = re.compile(
            rb"%b|\x1b\[%d;5(?::[12])?u|\x1b\[27;5;%d~|(?P<released>\x1b\[%d;5:3u)"
            % (re.escape(key), code, code, code)
        )
        self._asks = asks
        self._asked = False

    def feed(self, typed: bytes) -> Iterator[bytes | Press]:
        """Yield what is to be passed on, and what pressing the key means where it stood."""
        start = 0
        for found in self._key.finditer(typed):
            yield from self._others(typed[start : found.start()])
            start = found.end()
            if found["released"] is None:
                yield Press.ASK if self._asks and not self._asked else Press.DETACH
                self._asked = True
        yield from self._others(typed[start:])

    def _others(self, typed: bytes) -> Iterator[bytes]:
        if typed:
            self._asked = False
            yield typed


async def attach(
    manager: SessionManager,
    session: Session,
    *,
    detach_key: bytes = DETACH_KEY,
    source: int = 0,
    target: int = 1,
) -> AttachOutcome:
    """Show the terminal of ``session`` in this one and pass on what is typed.

    This terminal is given back as it was found, modes that the program left on included,
    whatever happens: exceptions, cancellation, SIGQUIT (which ends the attachment, and is the
    caller's to obey), SIGTSTP (which suspends it). Other signals that end a command are the
    caller's, who cancels.

    Args:
        manager: runs the process of the session.
        session: what to attach to.
        detach_key: pressed, ends the attachment; twice, if the process ends with this command.
        source: descriptor of the terminal to read from.
        target: descriptor of the terminal to write to.

    Raises:
        SessionNotRunningError: ``manager`` runs no process for it.
        NotATerminalError: ``source`` or ``target`` is no terminal.
    """
    terminal = manager.terminal(session.id)
    with anyio.open_signal_receiver(*_HANDLED) as signals, raw_tty(source, target) as tty:
        attached = _Attached(terminal, tty, session, detach_key)
        try:
            return await attached.run(signals)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            with anyio.move_on_after(_SECONDS_TO_LEAVE, shield=True):
                await attached.leave_modes()


class _Attached:
    """One attachment: its tasks, and what they know together."""

    def __init__(self, terminal: Terminal, tty: Tty, session: Session, key: bytes) -> None:
        self._modes = Modes()
        self._modes_left = False
        self._terminal = terminal
        self._tty = tty
        self._name = printable(session.name)
        self._ends_with_us = session.details.terminal in (None, _ENDS_WITH_ITS_HOST)
        self._key = DetachKey(key, asks=self._ends_with_us)
        self._key_name = key_name(key)
        self._scope = anyio.CancelScope()
        self._outcome = AttachOutcome()

    async def run(self, signals: AsyncIterator[signal.Signals]) -> AttachOutcome:
        typed, pending = anyio.create_memory_object_stream[bytes](_PENDING_READS)
        with self._scope:
            async with typed, pending, anyio.create_task_group() as tasks:
                tasks.start_soon(self._obey, signals)
                await self._fit()
                tasks.start_soon(self._show)
                tasks.start_soon(self._listen, typed)
                tasks.start_soon(self._type, pending)
        return self._outcome

    def _end(self, outcome: AttachOutcome) -> None:
        if not self._scope.cancel_called:
            self._outcome = outcome
            self._scope.cancel()

    async def _write(self, output: bytes) -> None:
        if not await self._tty.write(output):
            self._end(AttachOutcome(interrupted=signal.SIGHUP))

    async def _note(self, text: str) -> None:
        await self._write(f"\r\n[spinney] {text}\r\n".encode())

    async def _show(self) -> None:
        """Copy the output of the process here. Lossy: a stopped terminal must not stop it."""
        async with self._terminal.attach() as view:
            self._modes.feed(view.snapshot)
            await self._write(view.snapshot)
            async for piece in view:
                if isinstance(piece, Gap):
                    self._modes.doubt()
                    await self._note(f"{piece.missed} bytes came too fast to be shown here.")
                else:
                    self._modes.feed(piece.data)
                    await self._write(piece.data)
        self._end(AttachOutcome(exit=await self._terminal.exited()))

    async def _listen(self, typed: ObjectSendStream[bytes]) -> None:
        """Read what is typed, also while the process does not."""
        while data := await self._tty.read():
            for part in self._key.feed(data):
                if isinstance(part, bytes):
                    await typed.send(part)
                else:
                    await self._pressed(part)
        self._end(AttachOutcome(interrupted=signal.SIGHUP))

    async def _pressed(self, press: Press) -> None:
        if press is Press.ASK:
            await self._note(
                f"Detaching ends the process of {self._name}: it lives only as long as this "
                f"command. {self._key_name} again detaches, any other key goes on."
            )
            return
        fate = "ends now" if self._ends_with_us else "runs on"
        await self._note(f"Detached: the process of {self._name} {fate}.")
        self._end(AttachOutcome())

    async def _type(self, pending: ObjectReceiveStream[bytes]) -> None:
        """Pass on what was typed."""
        async for data in pending:
            try:
                await self._terminal.write(data)
            except (LineTooLongError, TerminalBusyError) as error:
                await self._note(str(error))
            except (
                TerminalClosedError
            ):  # what it still has to show, and its end, come through _show
                return

    async def _fit(self) -> None:
        """Give the process a window of the size of this one."""
        if size := self._tty.size():
            with suppress(TerminalClosedError):
                await self._terminal.resize(f"attach-{os.getpid()}", size)

    async def _obey(self, signals: AsyncIterator[signal.Signals]) -> None:
        async for number in signals:
            if number == signal.SIGQUIT:
                self._end(AttachOutcome(interrupted=number))
            elif number == signal.SIGTSTP:
                await self._suspend()
            elif number == signal.SIGCONT:
                await self._come_back()
            else:
                await self._fit()

    async def leave_modes(self) -> None:
        """Leave the modes of this terminal that the program has switched on."""
        if not self._modes_left:
            self._modes_left = True
            await self._write(self._modes.leave())

    async def _suspend(self) -> None:
        """Give the terminal back, and stop as a program does that handles nothing."""
        await self.leave_modes()
        self._tty.leave()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # to this thread: it stops before the next line
        signal.signal(signal.SIGTSTP, handler)
        await self._come_back()

    async def _come_back(self) -> None:
        """Take the terminal again; the shell may have used it and its window may have changed."""
        if not self._tty.enter():
            return
        if self._modes_left:
            self._modes_left = False
            await self._write(self._modes.enter())
        await self._fit()
        with suppress(TerminalClosedError):
            await self._terminal.signal(signal.SIGWINCH)
