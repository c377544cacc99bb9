"""Long work in a thread, in slices: the event loop gets its turn in between.

A thread that computes keeps the interpreter lock until somebody has waited for it for 5 ms, time
and again: https://docs.python.org/3/library/sys.html#sys.setswitchinterval.
"""

from __future__ import annotations

import time

_SLICE = 0.0007
"""Seconds of work until the others get their turn."""
_PAUSE = 0.00002
"""Seconds of sleep: none would give the lock up, and take it again before anybody woke."""


class Pace:
    """Remembers when others last had their turn."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def keep(self) -> None:
        """Let others run if it is time; to be called often."""
        if time.perf_counter() - self._since > _SLICE:
            time.sleep(_PAUSE)
            self._since = time.perf_counter()
