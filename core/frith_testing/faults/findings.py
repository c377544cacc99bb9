"""Violations that the laboratory found, and how much it tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise."""

    where: str
    """The system call, state or file."""
    fault: str
    """The fault."""
    what: str
    """The message of the violation, or a traceback."""

    def __str__(self) -> str:
        return f"{self.fault} at {self.where}:\n{self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was tried, and which promises were broken."""

    unit: str
    """What is counted: ``points``, ``states`` or ``damages``."""
    by_kind: Mapping[str, int] = field(default_factory=Counter)
    """How many of each kind were tried."""
    violations: tuple[Violation, ...] = ()
    left_out: int = 0
    """How many were not tried, because there were more than the limit."""

    @property
    def tried(self) -> int:
        """How many were tried."""
        return sum(self.by_kind.values())

    def __str__(self) -> str:
        left_out = f", {self.left_out} left out" if self.left_out else ""
        counts = f"{self.tried} {self.unit}{left_out}, {len(self.violations)} violations"
        shown = [str(violation) for violation in self.violations[:_SHOWN]]
        return "\n\n".join([counts, *shown])
