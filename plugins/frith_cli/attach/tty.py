"""This terminal as a stream of bytes: in raw mode, never blocking, restored at the end.

Sources: ECMA-48, termios(3), tty_ioctl(4), setpgid(2) on background process groups.
"""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio

from frith.errors import FrithError
from frith.ports import Size

CANCEL = b"\x18\x1b\\"
"""Ends a sequence that was cut off: CAN, and ST for terminals that ignore CAN in a string."""
_READ_SIZE = 4096
_SECONDS_IN_BACKGROUND = 0.1


class NotATerminalError(FrithError):
    """Standard input or output is not a terminal."""

    code = "NOT_A_TERMINAL"

    def __init__(self) -> None:
        super().__init__(
            "Attaching needs a terminal for input and output. Run it in one, or do not attach."
        )


def window_size(fd: int) -> Size | None:
    """Return the size of the terminal ``fd``; ``None`` if unknown, or if it is not a terminal."""
    with suppress(OSError):
        columns, rows = os.get_terminal_size(fd)
        if columns and rows:
            return Size(rows=rows, columns=columns)
    return None


class Tty:
    """A terminal that can be put into raw mode; see :func:`raw_tty`."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._found: list[Any] | None = None
        self._writing = anyio.Lock()
        self._is_cut = False

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._source) in (os.getpgrp(), 0)  # 0: no group is
        except OSError:  # not the controlling terminal, so without job control
            return True

    def enter(self) -> bool:
        """Enter raw mode; in the background return false, because others use the terminal."""
        if not self._in_foreground():
            return False
        with suppress(termios.error):
            self._found = self._found or termios.tcgetattr(self._source)
            tty.setraw(self._source, termios.TCSANOW)
        return True

    def leave(self) -> None:
        """Restore the mode before :meth:`enter`."""
        found, self._found = self._found, None
        # TCSADRAIN would wait for a stopped terminal, TCSAFLUSH would discard input.
        with suppress(termios.error):
            if found and self._in_foreground():
                termios.tcsetattr(self._source, termios.TCSANOW, found)

    @property
    def is_raw(self) -> bool:
        """Whether :meth:`enter` put it into raw mode."""
        return self._found is not None

    def size(self) -> Size | None:
        """Return the size of the window, or ``None`` if unknown."""
        return window_size(self._target)

    async def read(self) -> bytes:
        """Wait for input and return it; nothing once the terminal has gone.

        In the background input is for others, and read(2) would stop this process (SIGTTIN).
        """
        while True:
            await anyio.wait_readable(self._source)
            if not self._in_foreground():
                await anyio.sleep(_SECONDS_IN_BACKGROUND)
                continue
            try:
                return os.read(self._source, _READ_SIZE)
            except BlockingIOError:  # another process has read it
                continue
            except OSError:
                return b""

    async def write(self, data: bytes) -> bool:
        """Write all of ``data``; return whether the terminal is still there."""
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
        """End the sequence that :meth:`write` may have begun when it was cancelled."""
        if self._is_cut:
            self._is_cut = False
            await self.write(CANCEL)


@contextmanager
def _reopened(fd: int) -> Iterator[int]:
    """Open the terminal behind ``fd`` again, without blocking.

    ``O_NONBLOCK`` belongs to the open file description, which ``fd`` shares with the shell.

    Raises:
        NotATerminalError: ``fd`` is not a terminal.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            own = os.open(os.ttyname(fd), flags)
        except OSError:  # the device belongs to another user, or to another mount namespace
            os.tcgetpgrp(fd)
            own = os.open(os.ctermid(), flags)
    except OSError as error:
        raise NotATerminalError from error
    try:
        yield own
    finally:
        os.close(own)


@contextmanager
def output_tty() -> Iterator[Tty]:
    """Open the terminal of standard output, without blocking and without changing its mode.

    Raises:
        NotATerminalError: it is not a terminal.
    """
    with _reopened(1) as own:
        yield Tty(own, own)


@contextmanager
def raw_tty(source: int, target: int) -> Iterator[Tty]:
    """Put the terminal of two descriptors into raw mode while the body runs.

    Raises:
        NotATerminalError: one of them is not a terminal.
    """
    with _reopened(source) as own_source, _reopened(target) as own_target:
        terminal = Tty(own_source, own_target)
        terminal.enter()
        try:
            yield terminal
        finally:
            terminal.leave()
