"""Broken recoveries, and what stands in front of the built-in one to break it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from spinney.model import Session
from spinney.ports import Marker, MarkerState, SessionRecovery
from spinney.providers import ProviderContext, Role
from spinney_mutants.mutant import Mutant

_mutant = partial(Mutant, Role.RECOVERY)


class Wrapped(SessionRecovery):
    """Hands everything on."""

    def __init__(self, inner: SessionRecovery, context: ProviderContext) -> None:
        self.inner = inner

    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        await self.inner.remember(session, state, durable=durable)

    async def forget(self, session_id: str) -> None:
        await self.inner.forget(session_id)

    async def rebuild(self) -> Sequence[Marker]:
        return await self.inner.rebuild()


class ForgetsMetadata(Wrapped):
    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        await self.inner.remember(session.evolve(metadata=None), state, durable=durable)


class TakesAllForLive(Wrapped):
    async def rebuild(self) -> Sequence[Marker]:
        return [replace(marker, state=MarkerState.LIVE) for marker in await self.inner.rebuild()]


class RevivesByUpdates(Wrapped):
    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        await self.inner.remember(session, state)


class ForgetsNothing(Wrapped):
    async def forget(self, session_id: str) -> None:
        pass


class RebuildsInAnyOrder(Wrapped):
    async def rebuild(self) -> Sequence[Marker]:
        return sorted(await self.inner.rebuild(), key=lambda marker: marker.session.id)


class RemembersInMemory(Wrapped):
    """Writes its markers when it is asked for them."""

    def __init__(self, inner: SessionRecovery, context: ProviderContext) -> None:
        super().__init__(inner, context)
        self.owed: list[tuple[Session, MarkerState]] = []

    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        self.owed.append((session, state))

    async def rebuild(self) -> Sequence[Marker]:
        for session, state in self.owed:
            await self.inner.remember(session, state)
        self.owed.clear()
        return await self.inner.rebuild()


RECOVERIES = (
    _mutant(
        "forgets-metadata",
        "Metadata is not remembered.",
        "a remembered session comes back whole",
        wraps=ForgetsMetadata,
    ),
    _mutant(
        "takes-all-for-live",
        "Whatever is remembered seems alive.",
        "the state comes back",
        wraps=TakesAllForLive,
    ),
    _mutant(
        "revives-by-updates",
        "A late update revives a session that is being destroyed.",
        "an update does not revive a session that goes",
        wraps=RevivesByUpdates,
    ),
    _mutant(
        "forgets-nothing",
        "Forgetting does nothing.",
        "forgetting removes the marker",
        wraps=ForgetsNothing,
    ),
    _mutant(
        "rebuilds-in-any-order",
        "Sessions come back in the order of their ids.",
        "sessions come back in the order of their creation",
        wraps=RebuildsInAnyOrder,
    ),
    _mutant(
        "remembers-in-memory",
        "A marker is written only when somebody asks for it.",
        "what a process remembered survives its death",
        wraps=RemembersInMemory,
    ),
)
