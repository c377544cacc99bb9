"""What is written to a terminal: in order, bounded in time, no line cut silently."""

from __future__ import annotations

import os
import sys
import termios
from typing import Any

from anyio import CancelScope, Lock, lowlevel, move_on_after, wait_writable

from frith.errors import LineTooLongError, TerminalBusyError, TerminalClosedError

LINE_LIMIT = 4095 if sys.platform == "linux" else 1023
"""Bytes of a canonical-mode line, without its end; see termios(3), "Canonical mode"."""
_IFLAG, _LFLAG, _CC = 0, 3, 6


class Input:
    """The writing side of a terminal."""

    __slots__ = ("_closed", "_line", "_lock", "_master", "_timeout", "_waiting")

    def __init__(self, master: int, timeout: float) -> None:
        self._master = master
        self._timeout = timeout
        self._line = 0
        self._lock: Lock | None = None
        self._waiting: CancelScope | None = None
        self._closed = False

    async def write(self, data: bytes) -> None:
        """Write all of ``data`` within the bounded wait, after what others wrote before.

        Cancelled, it may have written some of it or all.

        Raises:
            TerminalClosedError: the process has ended.
            LineTooLongError: nothing was written; a line would have been cut.
            TerminalBusyError: the process did not read in time; part was written.
        """
        accepted, free = 0, self._lock is None or not self._lock.locked()
        if free:
            # Mostly all is accepted at once, and then no turn and no clock is needed.
            self._check_open()
            if self._line + len(data) <= LINE_LIMIT:
                # No line can be too long: count while the process already reads.
                accepted = self._put(data)
                self._count(data)
            else:
                self._count(data)
                accepted = self._put(data)
            if accepted == len(data):
                # Only now, for it costs a tenth of an echo, and the process already reads.
                await lowlevel.checkpoint_if_cancelled()
                return
        rest = memoryview(data)[accepted:]
        with move_on_after(self._timeout):
            async with self._turn():
                if not free:
                    self._check_open()
                    self._count(data)
                while rest:
                    with CancelScope() as self._waiting:
                        await wait_writable(self._master)
                    self._check_open()
                    rest = rest[self._put(rest) :]
                return
        raise TerminalBusyError(len(data) - len(rest), len(data))

    def _put(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Refuse all writing from now on; who waits is refused too."""
        self._closed = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def released(self) -> None:
        """Wait until nobody uses the master for writing any more. After :meth:`close`."""
        async with self._turn():
            pass

    def _turn(self) -> Lock:
        if self._lock is None:
            self._lock = Lock(fast_acquire=True)
        return self._lock

    def _check_open(self) -> None:
        if self._closed:
            raise TerminalClosedError("The process has ended; resume its session first.")

    def _count(self, data: bytes) -> None:
        attributes = termios.tcgetattr(self._master)
        if not attributes[_LFLAG] & termios.ICANON:
            self._line = 0
            return
        first, *others = data.translate(_line_ends(attributes)).split(b"\n")
        lengths = [self._line + len(first), *map(len, others)]
        if max(lengths) > LINE_LIMIT:
            raise LineTooLongError(max(lengths), LINE_LIMIT)
        self._line = lengths[-1]


def _line_ends(attributes: list[Any]) -> bytes:
    """Return a table that turns every byte which ends or discards a line into a newline."""
    iflag, lflag, characters = attributes[_IFLAG], attributes[_LFLAG], attributes[_CC]
    names = [termios.VEOF, termios.VEOL, termios.VEOL2, termios.VKILL]
    if lflag & termios.ISIG:
        names += [termios.VINTR, termios.VQUIT, termios.VSUSP]
    ends = {characters[name] for name in names} - {b"\0"}
    if iflag & termios.ICRNL:
        ends.add(b"\r")
    return bytes.maketrans(b"".join(ends), b"\n" * len(ends))
