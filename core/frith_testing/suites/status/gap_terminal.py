"""A terminal whose viewers have missed output."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import JsonValue

from frith.model import ExitStatus, SessionId
from frith.ports import Attachment, AttachMode, Chunk, Foreground, Gap, Size, Terminal


class Interrupted(Terminal):
    """Wraps a terminal, but gives each new viewer a gap before the first output."""

    def __init__(self, inner: Terminal) -> None:
        self._inner = inner

    @asynccontextmanager
    async def attach(
        self,
        from_offset: int | None = None,
        mode: AttachMode = AttachMode.LOSSY,
        *,
        viewer: str | None = None,
    ) -> AsyncIterator[Attachment]:
        """Attach, as if half of the scrollback had been missed."""
        async with self._inner.attach(from_offset, mode, viewer=viewer) as view:
            yield _WithGap(view)

    @property
    def session_id(self) -> SessionId:
        """See ``Terminal``, as for all methods below."""
        return self._inner.session_id

    @property
    def pid(self) -> int:
        return self._inner.pid

    @property
    def ref(self) -> dict[str, JsonValue]:
        return self._inner.ref

    async def write(self, data: bytes) -> None:
        await self._inner.write(data)

    async def resize(self, viewer: str, size: Size) -> None:
        await self._inner.resize(viewer, size)

    async def signal(self, number: int) -> None:
        await self._inner.signal(number)

    async def terminate(self, grace: float) -> ExitStatus:
        return await self._inner.terminate(grace)

    async def exited(self) -> ExitStatus:
        return await self._inner.exited()

    async def drained(self) -> None:
        await self._inner.drained()

    async def foreground(self) -> Foreground | None:
        return await self._inner.foreground()


class _WithGap(Attachment):
    def __init__(self, view: Attachment) -> None:
        self.offset, self.snapshot = view.offset, b""
        self._view = view

    async def __aiter__(self) -> AsyncIterator[Chunk | Gap]:
        kept = self._view.snapshot
        missed = len(kept) // 2
        yield Gap(self.offset, missed)
        yield Chunk(self.offset + missed, kept[missed:])
        async for part in self._view:
            yield part
