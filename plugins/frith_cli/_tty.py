"""This terminal as a stream of bytes: raw, never blocking, given back as it was found.

Sources: ECMA-48, termios(3), tty_ioctl(4), setpgid(2) on background process groups.
"""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import anyio

from frith.errors import FrithError
from frith.ports import Size

CANCEL = b"\x18\x1b\\"
"""Ends a sequence that was cut off: CAN, and a string terminator for who ignores that in one."""
_OWN = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
_READ_SIZE = 4096
_SECONDS_TO_LOOK_AGAIN = 0.1


class NotATerminalError(FrithError):
    """Something was to be attached to a terminal, and there is none."""

    code = "NOT_A_TERMINAL"

    def __init__(self) -> None:
        super().__init__(
            "Attaching needs a terminal for input and output. Run it in one, or do not attach."
        )


def window_size(fd: int) -> Size | None:
    """Return the size of the terminal ``fd``, or ``None`` if it is none or does not know."""
    with suppress(OSError):
        columns, rows = os.get_terminal_size(fd)
        if columns and rows:
            return Size(rows=rows, columns=columns)
    return None


class Tty:
    """A terminal in raw mode; made by :func:`raw_tty`."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._found: list[Any] | None = None
        self._writing = anyio.Lock()
        self._is_cut = False

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._source) in (os.getpgrp(), 0)  # 0: nobody is
        except OSError:  # not our controlling terminal: job control does not concern us
            return True

    def enter(self) -> bool:
        """Make it raw; in the background it is another's: leave it alone and return false."""
        if not self._in_foreground():
            return False
        with suppress(termios.error):
            self._found = self._found or termios.tcgetattr(self._source)
            tty.setraw(self._source, termios.TCSANOW)
        return True

    def leave(self) -> None:
        """Give it back as it was found."""
        found, self._found = self._found, None
        # TCSANOW: the other ways wait for a terminal that may be stopped, or drop what was typed
        with suppress(termios.error):
            if found and self._in_foreground():
                termios.tcsetattr(self._source, termios.TCSANOW, found)

    @property
    def is_raw(self) -> bool:
        """Whether it was made raw and not given back since."""
        return self._found is not None

    def size(self) -> Size | None:
        """Return the size of its window, or ``None`` if it does not know."""
        return window_size(self._target)

    async def read(self) -> bytes:
        """Wait for what is typed and return it; nothing once the terminal is gone.

        In the background what is typed is another's, and reading would stop this process.
        """
        while True:
            await anyio.wait_readable(self._source)
            if not self._in_foreground():
                await anyio.sleep(_SECONDS_TO_LOOK_AGAIN)
                continue
            try:
                return os.read(self._source, _READ_SIZE)
            except BlockingIOError:  # another process of this terminal was quicker
                continue
            except OSError:
                return b""

    async def write(self, data: bytes) -> bool:
        """Show ``data``, all of it unless cancelled; return whether the terminal is still there."""
        async with self._writing:
            rest = memoryview(data)
            while rest:
                try:
                    rest = rest[os.write(self._target, rest) :]
                except BlockingIOError:
                    self._is_cut = True
                    await anyio.wait_writable(self._target)
                    self._is_cut = False
                except OSError:
                    return False
        return True

    async def end_cut_sequence(self) -> None:
        """End the sequence that was perhaps begun where :meth:`write` was cancelled."""
        if self._is_cut:
            self._is_cut = False
            await self.write(CANCEL)


def _reopen(fd: int) -> int:
    """Open the terminal behind ``fd`` once more.

    ``O_NONBLOCK`` belongs to the open file description, and that of ``fd`` is the shell's too.
    """
    try:
        return os.open(os.ttyname(fd), _OWN)
    except OSError:  # its device belongs to another user, or lies in another mount namespace
        os.tcgetpgrp(fd)
        return os.open(os.ctermid(), _OWN)


@contextmanager
def output_tty(target: int = 1) -> Iterator[Tty]:
    """Open a terminal to write to without ever being blocked by it; it stays as it is.

    Raises:
        NotATerminalError: ``target`` is none.
    """
    try:
        own = _reopen(target)
    except OSError as error:
        raise NotATerminalError from error
    try:
        yield Tty(own, own)
    finally:
        os.close(own)


@contextmanager
def raw_tty(source: int = 0, target: int = 1) -> Iterator[Tty]:
    """Make a terminal raw for the time of the context.

    Args:
        source: descriptor to read from.
        target: descriptor to write to.

    Raises:
        NotATerminalError: one of them is no terminal.
    """
    with ExitStack() as stack:
        own = []
        for fd in (source, target):
            try:
                own.append(_reopen(fd))
            except OSError as error:
                raise NotATerminalError from error
            stack.callback(os.close, own[-1])
        terminal = Tty(*own)
        stack.callback(terminal.leave)
        terminal.enter()
        yield terminal
