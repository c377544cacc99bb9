"""The checks of the demo."""

from __future__ import annotations

import time
from typing import Any

from frith_cli.console import write


class Checks:
    """Prints the steps of the demo and their checks, and remembers which failed."""

    def __init__(self) -> None:
        self._step = 0
        self._count = 0
        self._failed: list[str] = []
        self._started = time.monotonic()

    def step(self, title: str) -> None:
        """Begin the next step."""
        self._step += 1
        write(f"\n{self._step}. {title}")

    def say(self, text: str) -> None:
        """Print something that is not checked."""
        write(f"   {text}")

    def check(self, claim: str, held: bool, seen: Any = "") -> None:
        """Print whether ``claim`` held, and if not what was ``seen`` instead."""
        self._count += 1
        write(f"   {'ok    ' if held else 'FAILED'} {claim}")
        if not held:
            self._failed.append(claim)
            write(f"          but: {seen!r}")

    def same(self, claim: str, seen: Any, expected: Any) -> None:
        """Check that ``seen`` equals ``expected``."""
        self.check(claim, seen == expected, f"{seen!r} is not {expected!r}")

    def sum_up(self) -> int:
        """Print the result; return the exit code: 0 if there were checks and all held."""
        seconds = time.monotonic() - self._started
        if self._failed or not self._count:
            failed = "; ".join(self._failed)
            write(f"\n{len(self._failed)} of {self._count} checks failed: {failed}.")
            return 1
        write(f"\nAll {self._count} checks held, in {seconds:.1f} seconds.")
        return 0
