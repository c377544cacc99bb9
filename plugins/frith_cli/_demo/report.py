"""What the demo has checked, told as it goes and summed up at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from frith_cli._console import write, write_table


@dataclass(frozen=True, slots=True)
class _Check:
    step: int
    claim: str
    held: bool


class Report:
    """Tells the story and remembers which of its claims held."""

    def __init__(self) -> None:
        self._step = 0
        self._checks: list[_Check] = []
        self._started = time.monotonic()

    def step(self, title: str) -> None:
        """Begin the next step."""
        self._step += 1
        write(f"\n{self._step}. {title}")

    def say(self, text: str) -> None:
        """Tell something that is not checked."""
        write(f"   {text}")

    def check(self, claim: str, held: bool, seen: Any = "") -> None:
        """Tell whether ``claim`` held, and if not what was ``seen`` instead."""
        self._checks.append(_Check(self._step, claim, held))
        write(f"   {'ok    ' if held else 'FAILED'} {claim}")
        if not held:
            write(f"          but: {seen!r}")

    def same(self, claim: str, seen: Any, expected: Any) -> None:
        """Check that ``seen`` equals ``expected``."""
        self.check(claim, seen == expected, f"{seen!r} is not {expected!r}")

    def sum_up(self) -> int:
        """Show all checks in a table; return the exit code: 0 if there are some and all held."""
        failed = sum(not check.held for check in self._checks)
        write("")
        write_table(
            ("STEP", "CHECK", "HELD"),
            [(str(c.step), c.claim, "yes" if c.held else "NO") for c in self._checks],
        )
        seconds = time.monotonic() - self._started
        count = len(self._checks)
        result = f"{failed} of {count} checks failed" if failed else f"All {count} checks held"
        write(f"\n{result}, in {seconds:.1f} seconds.")
        return 1 if failed or not count else 0
