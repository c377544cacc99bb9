"""Attaches this terminal to the terminal of a session, until that ends or the user detaches."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio

from frith.errors import LineTooLongError, TerminalBusyError, TerminalClosedError
from frith.logs import printable
from frith.ports import Chunk
from frith_cli._loops import Mark, without_marks
from frith_cli._modes import Modes
from frith_cli._tty import Tty, raw_tty

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream, ObjectSendStream

    from frith.model import ExitStatus, Session
    from frith.ports import Attachment, Screen, Terminal

DETACH_KEY = b"\x1d"
"""Ctrl-]."""

_ENDS_WITH_ITS_HOST = "pty"
# SIGINT, SIGTERM and SIGHUP stay the caller's: whoever takes them over must give them back, and a
# second one, which a closing window sends, would find nobody in between
_HANDLED = (signal.SIGQUIT, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
_PENDING_READS = 64
_SECONDS_TO_LEAVE = 1.0
_SECONDS_A_FRAME = 1 / 30


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


def ends_with_its_host(terminal: str | None) -> bool:
    """Tell whether processes of the terminal provider so called end with their host."""
    return terminal in (None, _ENDS_WITH_ITS_HOST)


async def attach(
    terminal: Terminal,
    session: Session,
    *,
    detach_key: bytes = DETACH_KEY,
    fresh: bool = False,
    read_only: bool = False,
    source: int = 0,
    target: int = 1,
) -> AttachOutcome:
    """Show ``terminal``, that of ``session``, in this one and pass on what is typed.

    Its screen is shown as it is. If another viewer's window gave it another size than this
    terminal's, it is drawn anew with each output, the part around the cursor if there is more.

    This terminal is given back as it was found, modes that the program left on included,
    whatever happens: exceptions, cancellation, SIGQUIT (which ends the attachment, and is the
    caller's to obey), SIGTSTP (which suspends it). Other signals that end a command are the
    caller's, who cancels.

    Args:
        terminal: what to attach to.
        session: whose process it is.
        detach_key: pressed, ends the attachment; twice, if the process ends with this command.
        fresh: the process has just been started: what it wrote goes below what is shown here.
        read_only: nothing is passed on, neither what is typed nor the size of this window.
        source: descriptor of the terminal to read from.
        target: descriptor of the terminal to write to.

    Raises:
        NotATerminalError: ``source`` or ``target`` is no terminal.
        ShownInItselfError: this terminal is shown in that session.
    """
    with anyio.open_signal_receiver(*_HANDLED) as signals, raw_tty(source, target) as tty:
        attached = _Attached(terminal, tty, session, detach_key, read_only=read_only)
        try:
            return await attached.run(signals, fresh=fresh)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            with anyio.move_on_after(_SECONDS_TO_LEAVE, shield=True):
                await attached.leave()


class _Attached:
    """One attachment: its tasks, and what they know together."""

    def __init__(
        self, terminal: Terminal, tty: Tty, session: Session, key: bytes, *, read_only: bool
    ) -> None:
        self._viewer = f"attach-{uuid4()}"
        self._read_only = read_only
        self._view = anyio.CancelScope()
        self._redraws = False
        self._modes = Modes()
        self._mark = Mark(session)
        self._modes_left = False
        self._terminal = terminal
        self._tty = tty
        self._name = printable(session.name)
        self._ends_with_us = ends_with_its_host(session.details.terminal)
        self._key = DetachKey(key, asks=self._ends_with_us)
        self._key_name = key_name(key)
        self._scope = anyio.CancelScope()
        self._outcome = AttachOutcome()

    async def run(self, signals: AsyncIterator[signal.Signals], *, fresh: bool) -> AttachOutcome:
        typed, pending = anyio.create_memory_object_stream[bytes](_PENDING_READS)
        with self._scope:
            async with typed, pending, anyio.create_task_group() as tasks:
                tasks.start_soon(self._obey, signals)
                await self._write(self._modes.begin())
                await self._fit()
                tasks.start_soon(self._show, fresh)
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
        await self._write(f"\r\n[frith] {text}\r\n".encode())

    async def _show(self, fresh: bool) -> None:
        """Copy the output of the process here. Lossy: a stopped terminal must not stop it."""
        while True:
            with anyio.CancelScope() as self._view:
                screen = await self._terminal.screen(self._tty.size())
                self._redraws = screen is not None
                await self._follow(None if fresh else screen)
                self._end(AttachOutcome(exit=await self._terminal.exited()))
                return
            fresh = False

    async def _follow(self, screen: Screen | None) -> None:
        """Show what was written from ``screen`` on, until the end or until it must be redrawn."""
        async with self._terminal.attach(screen.offset if screen else None) as view:
            await self._write(self._mark.sequence)
            if screen:
                await self._tty.end_cut_sequence()
                await self._write(self._modes.clear())
                await self._pass_on(screen.data)
            await self._pass_on(without_marks(view.snapshot))
            async for piece in view:
                if isinstance(piece, Chunk):
                    marks = self._mark.look(piece.data)
                if self._redraws and self._sees_other_size(view):
                    await self._write(marks)
                    await anyio.sleep(_SECONDS_A_FRAME)
                    self._redraw()
                elif isinstance(piece, Chunk):
                    await self._pass_on(piece.data)
                elif self._redraws:
                    self._redraw()
                else:
                    self._modes.doubt()
                    await self._note(f"{piece.missed} bytes came too fast to be shown here.")

    def _sees_other_size(self, view: Attachment) -> bool:
        size = self._tty.size()
        return bool(size and view.resizes) and view.resizes[-1].size != size

    def _redraw(self) -> None:
        if self._redraws:
            self._view.cancel()

    async def _pass_on(self, output: bytes) -> None:
        self._modes.feed(output)
        await self._write(output)

    async def _listen(self, typed: ObjectSendStream[bytes]) -> None:
        """Read what is typed, also while the process does not."""
        while data := await self._tty.read():
            if not self._tty.is_raw:  # some shells send no SIGCONT to a job that was running
                await self._come_back()
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
        self._end(AttachOutcome())

    async def _type(self, pending: ObjectReceiveStream[bytes]) -> None:
        """Pass on what was typed."""
        async for data in pending:
            try:
                if not self._read_only:
                    await self._terminal.write(data)
            except (LineTooLongError, TerminalBusyError) as error:
                await self._note(str(error))
            except (
                TerminalClosedError
            ):  # what it still has to show, and its end, come through _show
                return

    async def _fit(self) -> None:
        """Give the process a window of the size of this one."""
        if (size := self._tty.size()) and not self._read_only:
            with suppress(TerminalClosedError):
                await self._terminal.resize(self._viewer, size)
        self._redraw()

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

    async def leave(self) -> None:
        """Give back what was taken: this terminal's modes, the size of the other."""
        await self.leave_modes()
        if self._outcome == AttachOutcome() and self._scope.cancel_called:
            fate = "ends now" if self._ends_with_us else "runs on"
            await self._note(f"Detached: the process of {self._name} {fate}.")
        await self._terminal.leave(self._viewer)

    async def leave_modes(self) -> None:
        """Leave the modes of this terminal that the program has switched on."""
        if not self._modes_left:
            self._modes_left = True
            size = self._tty.size()
            await self._tty.end_cut_sequence()
            await self._write(self._modes.leave(size.columns if size else 0))

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
            await self._write(self._modes.begin() + self._modes.enter())
        await self._fit()
        with suppress(TerminalClosedError):
            await self._terminal.signal(signal.SIGWINCH)
