"""What hosts send to the command: in order, bounded in time, no line cut silently."""

from __future__ import annotations

import os
import sys
import termios
from collections import deque
from collections.abc import Callable
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ring import WrittenRing

LINE_LIMIT = 4095 if sys.platform == "linux" else 1023
"""Bytes of a canonical-mode line, without its end; see termios(3), "Canonical mode"."""
_IFLAG, _LFLAG, _CC = 0, 3, 6


class _Write:
    __slots__ = ("accepted", "counted", "data", "deadline", "tell")

    def __init__(self, data: bytes, tell: Callable[[int, int], None], deadline: float) -> None:
        self.data = memoryview(data)
        self.tell = tell
        self.deadline = deadline
        self.accepted = 0
        self.counted = False


class Inputs:
    """The writing side of the terminal, a queue in front of it."""

    def __init__(self, master: int, within: float, ring: WrittenRing) -> None:
        """Write to ``master``, whose output goes into ``ring``.

        Each write has to be accepted ``within`` seconds.
        """
        self.count = 0
        """Bytes written so far."""
        self.at = 0
        """How far the output had come when the last of them were written."""
        self._ring = ring
        self._master = master
        self._within = within
        self._line = 0
        self._queue: deque[_Write] = deque()

    @property
    def waits(self) -> bool:
        """Whether something waits for the command to read."""
        return bool(self._queue)

    @property
    def deadline(self) -> float | None:
        """When the first of what waits is given up, by ``time.monotonic()``."""
        return self._queue[0].deadline if self._queue else None

    def add(self, data: bytes, tell: Callable[[int, int], None]) -> None:
        """Write ``data`` after what came before.

        Args:
            data: what to write.
            tell: called with how many bytes were written, and if there was a line too long with
                its length, once that is decided.
        """
        self._queue.append(_Write(data, tell, monotonic() + self._within))
        if len(self._queue) == 1:
            self.go_on()

    def go_on(self) -> None:
        """Write what the command takes now; give up what it did not take in time."""
        while self._queue:
            first = self._queue[0]
            longest = 0
            if not first.counted:
                first.counted = True
                if self._line + len(first.data) <= LINE_LIMIT:
                    # No line can be too long: count while the command already reads.
                    self._put(first)
                longest = self._count(bytes(first.data))
            if not longest and first.accepted < len(first.data):
                self._put(first)
            if not longest and first.accepted < len(first.data) and monotonic() < first.deadline:
                return
            self._queue.popleft()
            first.tell(first.accepted, longest)

    def close(self) -> None:
        """Give up all that waits."""
        while self._queue:
            first = self._queue.popleft()
            first.tell(first.accepted, 0)

    def _put(self, first: _Write) -> None:
        try:
            while first.accepted < len(first.data):
                done = os.write(self._master, first.data[first.accepted :])
                first.accepted += done
                self.count += done
                self.at = self._ring.end
        except BlockingIOError:
            pass
        except OSError:  # the terminal is gone, and so is the command: its exit tells
            pass

    def _count(self, data: bytes) -> int:
        """Return the length of a line that is too long, else 0."""
        attributes = termios.tcgetattr(self._master)
        iflag, lflag, characters = (attributes[n] for n in (_IFLAG, _LFLAG, _CC))
        if not lflag & termios.ICANON:
            self._line = 0
            return 0
        names = [termios.VEOF, termios.VEOL, termios.VEOL2, termios.VKILL]
        if lflag & termios.ISIG:
            names += [termios.VINTR, termios.VQUIT, termios.VSUSP]
        ends = b"".join({characters[name] for name in names} - {b"\0"})
        if iflag & termios.ICRNL:
            ends += b"\r"
        lines = data.translate(bytes.maketrans(ends, b"\n" * len(ends))).split(b"\n")
        lengths = [self._line + len(lines[0]), *map(len, lines[1:])]
        if max(lengths) > LINE_LIMIT:
            return max(lengths)
        self._line = lengths[-1]
        return 0
