"""Reading a terminal in tests."""

from __future__ import annotations

from frith.ports import Attachment, Chunk


async def rest(view: Attachment) -> bytes:
    """Return the output after the snapshot of ``view``; fail if there is a gap."""
    seen = b""
    async for item in view:
        assert isinstance(item, Chunk), item
        assert item.offset == view.offset + len(view.snapshot) + len(seen)
        seen += item.data
    return seen
