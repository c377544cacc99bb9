"""A lifecycle hook of the plugin under test, with an event to call it with."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from frith import hookspecs
from frith.errors import SessionVetoed
from frith.events import Event
from frith.logs import logged_by

LIFECYCLE_HOOKS = tuple(
    name for name, hook in vars(hookspecs).items() if inspect.iscoroutinefunction(hook)
)


@dataclass(frozen=True, slots=True)
class Call:
    """A lifecycle hook of the plugin, and a sample event to call it with."""

    hook: str
    function: Callable[[Event], Awaitable[object]]
    event: Event
    timeout: float
    logger: logging.Logger | None
    """The logger of the manager's own."""

    async def answer(self) -> object:
        """Call the hook as a host does; return its result, or the exception that it raised.

        Raises:
            TimeoutError: the hook did not end in time.
        """
        with anyio.fail_after(self.timeout), logged_by(self.logger):
            try:
                return await self.function(self.event)
            except Exception as error:
                return error

    async def outcome(self) -> tuple[type, str]:
        """Call the hook as a host does; return what the host makes of it."""
        answer = await self.answer()
        return type(answer), answer.reason if isinstance(answer, SessionVetoed) else ""
