"""Reading a terminal in tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CancelScope, sleep_forever

from frith import View
from frith._flows.view import OpenView
from frith.ports import Attachment, Chunk, Terminal


async def rest(view: Attachment) -> bytes:
    """Return the output after the snapshot of ``view``; fail if there is a gap."""
    seen = b""
    async for item in view:
        assert isinstance(item, Chunk), item
        assert item.offset == view.offset + len(view.snapshot) + len(seen)
        seen += item.data
    return seen


@asynccontextmanager
async def viewed(terminal: Terminal, **options: Any) -> AsyncIterator[View]:
    """View ``terminal`` without a manager: no process follows."""
    view = OpenView(terminal, _no_other, **options)
    try:
        await view.fit()
        yield view
    finally:
        with CancelScope(shield=True):
            await view.leave()


async def _no_other(_last: Terminal, _has_ended: bool) -> Terminal | None:
    await sleep_forever()
    return None
