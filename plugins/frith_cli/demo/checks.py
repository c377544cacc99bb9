"""The checks of the demo."""

from __future__ import annotations

import time
from typing import Any

from frith_cli.console import write


class Checks:
    """Prints the steps of the demo and their checks, and remembers which failed."""

    def __init__(self) -> None:
        self._steps = 0
        self._claims = 0
        self._failed: list[str] = []
        self._started = time.monotonic()

    def step(self, title: str) -> None:
        """Begin the next step."""
        self._steps += 1
        write(f"\n{self._steps}. {title}")

    def check(self, claim: str, seen: Any, expected: Any = True) -> None:
        """Print whether ``claim`` held: that ``seen`` equals ``expected``."""
        self._claims += 1
        held = seen == expected
        write(f"   {'ok    ' if held else 'FAILED'} {claim}")
        if not held:
            self._failed.append(claim)
            write(f"          but: {seen!r} is not {expected!r}")

    def sum_up(self) -> int:
        """Print the result; return the exit code: 0 if there were checks and all held."""
        seconds = time.monotonic() - self._started
        if self._failed or not self._claims:
            failed = "; ".join(self._failed)
            write(f"\n{len(self._failed)} of {self._claims} checks failed: {failed}.")
            return 1
        write(f"\nAll {self._claims} checks held, in {seconds:.1f} seconds.")
        return 0
