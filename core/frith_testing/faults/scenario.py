"""An operation of a provider, and the check of its result after a fault."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

from frith_testing.harness.opening import Opening

Acknowledge: TypeAlias = Callable[[str], None]
"""Records in the laboratory, at once and durably, what the provider has promised so far."""


class ViolationError(AssertionError):
    """A provider broke a promise; ``str()`` says which and how."""


class Scenario(ABC):
    """An operation in three parts, each of which runs in a process of its own. Picklable.

    The fault occurs in :meth:`work` only. A provider reports a failure by an error of its port,
    which :meth:`work` handles; any other exception that it raises is a violation.
    """

    @abstractmethod
    async def prepare(self, opening: Opening) -> None:
        """Prepare the state that the work begins with."""

    @abstractmethod
    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        """Do the work; acknowledge what the provider promises as soon as it does."""

    @abstractmethod
    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        """Check what is left, with the provider opened again.

        Args:
            opening: opens the provider.
            acknowledged: what :meth:`work` acknowledged, in order.

        Raises:
            ViolationError: a promise is broken.
        """
