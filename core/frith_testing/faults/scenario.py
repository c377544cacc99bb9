"""A piece of a provider's work that faults are thrown at, and how it is judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

from frith_testing.harness.opening import Opening

Acknowledge: TypeAlias = Callable[[str], None]
"""Tells the laboratory, at once and durably, what the provider has promised by now."""


class ViolationError(AssertionError):
    """A provider broke a promise; ``str()`` says which and how."""


class Scenario(ABC):
    """A piece of work, in three parts that each run in a process of their own. Picklable.

    The fault hits :meth:`work` alone. What it raises but :class:`ViolationError` is a violation,
    too: a provider reports a failure as the typed error that its port names, which :meth:`work`
    expects.
    """

    @abstractmethod
    async def prepare(self, opening: Opening) -> None:
        """Make the state that the work begins with."""

    @abstractmethod
    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        """Do the work; acknowledge what the provider promised, when it has."""

    @abstractmethod
    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        """Judge what is left, with the provider opened anew.

        Args:
            opening: opens the provider on what is left.
            acknowledged: what :meth:`work` had acknowledged, in order.

        Raises:
            ViolationError: it is not what was promised.
        """
