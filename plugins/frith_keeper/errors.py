"""Errors between a host and a keeper."""

from __future__ import annotations

from frith.errors import TerminalError


class KeeperError(TerminalError):
    """A keeper cannot be reached, or does not answer as it should.

    Attributes:
        reason: the cause and the remedy.
    """

    code = "KEEPER_FAILED"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeeperLostError(KeeperError):
    """The keeper has ended, and with it the terminal of its process."""

    code = "KEEPER_LOST"
