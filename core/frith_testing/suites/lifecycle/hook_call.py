"""A lifecycle hook of the plugin under test, with an event to call it with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from frith.events import Event


@dataclass(frozen=True, slots=True)
class Call:
    """A lifecycle hook of the plugin, and a sample event to call it with."""

    hook: str
    function: Callable[[Event], Awaitable[object]]
    event: Event
    timeout: float

    async def answer(self) -> object:
        """Call the hook as a host does; return its result, or the exception that it raised.

        Raises:
            TimeoutError: the hook did not end in time.
        """
        with anyio.fail_after(self.timeout):
            try:
                return await self.function(self.event)
            except Exception as error:
                return error
