"""The output of a process: read from the master end into the ring, as far as viewers allow.

*Exited* and *drained* are two events: output may come after the exit.
"""

from __future__ import annotations

import os
from contextlib import suppress
from enum import Enum
from time import monotonic, perf_counter

from frith_os.pty.ring import SPARE, WrittenRing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_READ = 64 * 1024
_LITTLE = 256
"""Fewer bytes are an echo or a line, and mostly all; a process that has much to say writes more."""
_SIZES = 256
"""Sizes that are recorded at most, the latest."""
_SETTLE = 0.1
"""Seconds after the exit within which output still counts if others hold the terminal."""
_LATE = SPARE
"""Bytes after the exit that still count then; a kernel holds back less."""
_BEYOND = 1 << 62
"""More bytes than any output has."""


class Stopped(Enum):
    """Why reading stopped."""

    LITTLE = 1
    """Little came, mostly all there was: there may be more."""
    BUDGET = 2
    """The turn is over: there may be more."""
    EMPTY = 3
    """There is nothing to read now."""
    NOT_READABLE = 4
    """A viewer has to read first, or no process has the terminal, or the output is drained."""


class Output:
    """The output of one terminal.

    It waits for viewers (:meth:`hold`) while the process lives. Once that has ended or is being
    ended (:meth:`release`), it does not. The ring has room for what the kernel still holds then,
    so that such a viewer misses nothing that was written before the exit.
    """

    __slots__ = (
        "_held",
        "_is_released",
        "_last",
        "_other_end",
        "_scrollback",
        "_times_hung_up",
        "_tty",
        "drained_at",
        "due",
        "is_drained",
        "is_hung_up",
        "keep_up",
        "master",
        "ring",
        "sizes",
    )

    def __init__(
        self, master: int, tty: str, scrollback: int, size: tuple[int, int], *, is_shared: bool
    ) -> None:
        """Read from ``master``, whose slave end is at ``tty``, into a ring of ``scrollback``."""
        self.master = master
        """The master end; -1 once it is closed."""
        self.ring = WrittenRing(scrollback, is_shared=is_shared)
        self.sizes: list[tuple[int, int, int]] = [(0, *size)]
        """Offset, rows, columns: from there on it was written to a window of that size."""
        self.is_drained = False
        self.drained_at: float | None = None
        """When to :meth:`settle`, by ``time.monotonic()``; ``None`` unless it is being drained."""
        self.is_hung_up = False
        """Whether no process has the terminal, and it is not read until that has ended."""
        self.due = _BEYOND
        """The end of the ring at which :attr:`keep_up` is called with the bytes of one reading; it
        returns the next such end."""
        self.keep_up: Callable[[int], int] = lambda came: _BEYOND
        self._tty = tty
        self._scrollback = scrollback
        self._other_end: int | None = None
        self._held: int | None = None
        self._is_released = False
        self._times_hung_up = 0
        self._last = 0

    @property
    def is_readable(self) -> bool:
        """Whether there is a reason to wait for output."""
        return self._room() > 0 and not (self.is_hung_up or self.is_drained)

    def read(self, most: int, turn: Callable[[], float] | None = None) -> Stopped:
        """Read what is there, at least once; as long as there is much, until the turn is over.

        If little comes that is mostly all: stopping there saves the reading that would only say
        so, and the descriptor stays readable if there is more.

        Args:
            most: bytes to read at most.
            turn: begins a turn and returns when it is over, by ``perf_counter()``.
        """
        ring, until = self.ring, 0.0
        stop = ring.end + min(most, self._room())
        while ring.end < stop and not (self.is_hung_up or self.is_drained):
            try:
                came = ring.fill(self.master, min(stop - ring.end, _READ))
            except BlockingIOError:
                self._times_hung_up = 0
                return Stopped.EMPTY
            except OSError:
                came = 0
            if not came:
                self._hang_up()
                continue
            self._times_hung_up = 0
            if ring.end >= self.due:
                self.due = self.keep_up(came)
            if self.drained_at is not None:
                self._drained(ring.end >= self._last)
            elif came < _LITTLE:
                return Stopped.LITTLE
            if turn is not None:
                until = until or turn()
                if perf_counter() >= until:
                    break
        return Stopped.BUDGET if self.is_readable else Stopped.NOT_READABLE

    def _room(self) -> int:
        if self.drained_at is not None:  # viewers have still to read what they held at the exit
            return self._last - self.ring.end
        if self._held is None or self._is_released:
            return _BEYOND
        return self._held + self._scrollback - self.ring.end

    def _hang_up(self) -> None:
        """Handle that no process holds the slave end.

        The first EIO after the exit is not final: Linux may report it with data still queued. The
        second one in a row is.
        """
        if self.drained_at is not None:
            self._times_hung_up += 1
            self._drained(self._times_hung_up == 2)
            return
        # The process may come back through /dev/tty. Meanwhile the master would be readable all
        # the time, so we hold the slave end.
        if self._other_end is None:
            with suppress(OSError):
                self._other_end = os.open(self._tty, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
                return
        self.is_hung_up = True

    def hold(self, offset: int | None) -> None:
        """Overwrite nothing from ``offset`` on while the process lives, until released."""
        self._held = offset

    def release(self) -> None:
        """Wait for no viewer any more."""
        if self._held is not None and not self._is_released:
            self.ring.extend()  # for what the kernel still holds
        self._is_released = True

    def resized(self, rows: int, columns: int) -> tuple[int, int, int] | None:
        """Record a new size; return it with its offset, ``None`` if it is the old one."""
        sizes, end = self.sizes, self.ring.end
        if sizes[-1][1:] == (rows, columns):
            return None
        record_size(sizes, (end, rows, columns), self.ring.start)
        return sizes[-1]

    def process_ended(self) -> None:
        """Begin to drain: read what the kernel holds, and output of the next moment."""
        self._release_other_end()
        self.is_hung_up = False
        self._last = self.ring.end + _LATE
        self.drained_at = monotonic() + _SETTLE
        self.release()

    def settle(self) -> None:
        """Stop waiting for more if it is time, because others hold the terminal."""
        if not self.is_drained and self.drained_at is not None and self.drained_at <= monotonic():
            self.read(_LATE)
            self._drained(True)

    def _drained(self, is_drained: bool) -> None:
        if is_drained:
            self.is_drained, self.drained_at = True, None

    def _release_other_end(self) -> None:
        if self._other_end is not None:
            os.close(self._other_end)
            self._other_end = None

    def close(self) -> None:
        """Close both ends; nothing more is read."""
        self._release_other_end()
        self._drained(True)
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def record_size(
    sizes: list[tuple[int, int, int]], latest: tuple[int, int, int], oldest: int
) -> None:
    """Add a size; drop those before the ``oldest`` offset that is kept, and beyond the limit."""
    if sizes[-1][0] == latest[0]:
        sizes.pop()
    sizes.append(latest)
    while len(sizes) > 1 and (sizes[1][0] <= oldest or len(sizes) > _SIZES):
        del sizes[0]
