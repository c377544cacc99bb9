"""The input of a terminal: in order, within a time limit, too long lines refused."""

from __future__ import annotations

import os
import sys
import termios
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from frith_os.pty.ring import Ring

LINE_LIMIT = 4095 if sys.platform == "linux" else 1023
"""Bytes of a canonical-mode line, without its end; see termios(3), "Canonical mode"."""
_IFLAG, _LFLAG, _CC = 0, 3, 6


class Write:
    """Bytes on their way to the process."""

    __slots__ = ("_is_counted", "_tell", "accepted", "data", "deadline", "is_over", "longest")

    def __init__(self, data: bytes, deadline: float, tell: Callable[[Write], None] | None) -> None:
        self.data = memoryview(data)
        self.deadline = deadline
        self.accepted = 0
        """Bytes that the kernel has taken."""
        self.longest = 0
        """Length of a line that is too long; nothing was written then."""
        self.is_over = False
        self._is_counted = False
        self._tell = tell

    def end(self) -> None:
        """Tell its writer how it went."""
        self.is_over = True
        if self._tell is not None:
            self._tell(self)


class Input:
    """The writing side of a terminal, with a queue in front of it."""

    __slots__ = ("_line", "_master", "_queue", "_ring", "_within", "at", "count")

    def __init__(self, master: int, within: float, ring: Ring) -> None:
        """Write to ``master``, whose output goes into ``ring``.

        The process must have read each write ``within`` seconds.
        """
        self.count = 0
        """Bytes written so far."""
        self.at = 0
        """The end of the output when the last of them were written."""
        self._ring = ring
        self._master = master
        self._within = within
        self._line = 0
        self._queue: list[Write] = []  # a deque would take half a KiB

    @property
    def waits(self) -> bool:
        """Whether a write waits for the process to read."""
        return bool(self._queue)

    @property
    def deadline(self) -> float | None:
        """When the first write that waits is given up, by ``time.monotonic()``."""
        return self._queue[0].deadline if self._queue else None

    def add(self, data: bytes, tell: Callable[[Write], None] | None = None) -> Write:
        """Write ``data`` after earlier writes; ``tell`` is called once that is over."""
        write = Write(data, monotonic() + self._within, tell)
        self._queue.append(write)
        if len(self._queue) == 1:
            self.resume()
        return write

    def resume(self) -> None:
        """Write as much as the process takes now; give up writes that are late."""
        while self._queue:
            first = self._queue[0]
            if not first._is_counted:
                first._is_counted = True
                if self._line + len(first.data) <= LINE_LIMIT:
                    # No line can be too long: count while the process already reads.
                    self._put(first)
                self._count(first)
            if not first.longest and first.accepted < len(first.data):
                self._put(first)
                if first.accepted < len(first.data) and monotonic() < first.deadline:
                    return
            self._queue.pop(0)
            first.end()

    def drop(self, write: Write) -> None:
        """Give up a write whose writer has gone; some of it may have been written."""
        if not write.is_over:
            self._queue.remove(write)
            write.is_over = True
            self.resume()

    def close(self) -> None:
        """Give up all that waits: the process has ended."""
        while self._queue:
            self._queue.pop(0).end()

    def _put(self, write: Write) -> None:
        try:
            while write.accepted < len(write.data):
                done = os.write(self._master, write.data[write.accepted :])
                write.accepted += done
                self.count += done
                self.at = self._ring.end
        except BlockingIOError:
            pass
        except OSError:  # the terminal is gone; the exit of the process follows
            pass

    def _count(self, write: Write) -> None:
        """Follow the length of the line, and find one that is too long."""
        attributes = termios.tcgetattr(self._master)
        lflag = attributes[_LFLAG]
        if not lflag & termios.ICANON:
            self._line = 0
            return
        iflag, characters = attributes[_IFLAG], attributes[_CC]
        names = [termios.VEOF, termios.VEOL, termios.VEOL2, termios.VKILL]
        if lflag & termios.ISIG:
            names += [termios.VINTR, termios.VQUIT, termios.VSUSP]
        ends = b"".join({characters[name] for name in names} - {b"\0"})
        if iflag & termios.ICRNL:
            ends += b"\r"
        table = bytes.maketrans(ends, b"\n" * len(ends))
        lines = bytes(write.data).translate(table).split(b"\n")
        lengths = [self._line + len(lines[0]), *map(len, lines[1:])]
        if max(lengths) > LINE_LIMIT:
            write.longest = max(lengths)
        else:
            self._line = lengths[-1]
