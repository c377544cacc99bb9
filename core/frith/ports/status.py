"""The status port: the activity of a session's process, and the evidence for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from frith.model import Session, SessionStatus, Source
from frith.ports.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A status and its source."""

    status: SessionStatus
    """``active``, ``waiting``, ``idle`` or ``error``."""
    source: Source
    confidence: float = 1.0
    """From 0 to 1."""
    message: str | None = None
    """The question or message for the user. A program may have written it: do not trust it."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """The process has been silent for long, and does not wait for the user."""

    silent: float
    """Seconds since its last output."""


class StatusWatch(ABC):
    """The watch over one process."""

    @abstractmethod
    def tell(self, conclusion: Conclusion) -> None:
        """Take a reported status: from a program in the session, a plugin or the user. Never waits.

        It is the strongest source; the watch yields it, and notices when it no longer holds.
        """

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Conclusion | Stuck]:
        """Yield each new conclusion, and warnings, until the terminal is drained."""


class StatusDetector(ABC):
    """Detects the activity of processes in terminals, without polling silent ones."""

    @abstractmethod
    def watch(
        self, session: Session, terminal: Terminal
    ) -> AbstractAsyncContextManager[StatusWatch]:
        """Watch the process of ``session`` in ``terminal`` while the context is open.

        The watch never delays the process or other viewers of the terminal.
        """
