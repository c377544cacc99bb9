"""The flows under way, so that closing can end them while they can still be undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CancelScope, Event

from spinney.errors import ManagerClosedError


class Calls:
    """Keeps account of calls that take several steps."""

    def __init__(self) -> None:
        self._scopes: set[CancelScope] = set()
        self._closed = False
        self._ended = Event()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Make one call within this context.

        Raises:
            ManagerClosedError: the manager is closed, or was closed meanwhile; the call was
                cancelled then, and has undone what it had begun.
        """
        if self._closed:
            raise ManagerClosedError
        with CancelScope() as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)
                self._ended.set()
                self._ended = Event()
        if scope.cancelled_caught:
            raise ManagerClosedError

    async def end(self) -> None:
        """Cancel every call, wait until they have ended, and allow no more."""
        self._closed = True
        for scope in tuple(self._scopes):
            scope.cancel()
        while self._scopes:
            await self._ended.wait()
