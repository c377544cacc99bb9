"""The status port: what the process of a session is doing, and how that is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from frith.model import Session, SessionStatus, Source
from frith.ports.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A status, and what it was concluded from."""

    status: SessionStatus
    """``active``, ``waiting``, ``idle`` or ``error``."""
    source: Source
    confidence: float = 1.0
    """How sure that is, from 0 to 1."""
    message: str | None = None
    """What the user is asked or told; whatever a program wrote, so never to be trusted."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """The process is not waiting for the user, yet has been silent for very long."""

    silent: float
    """Seconds since its last output."""


class StatusWatch(ABC):
    """The watch over one process."""

    @abstractmethod
    def tell(self, conclusion: Conclusion) -> None:
        """Take what somebody says: a program inside, a plugin or the user. Never waits.

        It is the strongest source; the watch yields it, and from then on knows when it has
        been overtaken.
        """

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Conclusion | Stuck]:
        """Yield each new conclusion, and warnings, until the terminal is drained."""


class StatusDetector(ABC):
    """Finds out what processes in terminals are doing, without polling those that are silent."""

    @abstractmethod
    def watch(
        self, session: Session, terminal: Terminal
    ) -> AbstractAsyncContextManager[StatusWatch]:
        """Watch the process of ``session`` in ``terminal`` while the context is open.

        The watch never holds up the process or other viewers of the terminal.
        """
