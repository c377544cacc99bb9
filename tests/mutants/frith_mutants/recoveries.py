"""Broken recoveries, and what stands in front of the built-in one to break it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from anyio import CancelScope
from anyio.lowlevel import checkpoint

from frith.model import Session
from frith.ports import Marker, MarkerState, SessionRecovery
from frith.providers import ProviderContext, Role
from frith_mutants import _default_threads as threads
from frith_mutants.mutant import Mutant

_mutant = partial(Mutant, Role.RECOVERY)


class Wrapped(SessionRecovery):
    """Calls the wrapped provider."""

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
        self.pending: list[tuple[Session, MarkerState]] = []

    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        self.pending.append((session, state))

    async def rebuild(self) -> Sequence[Marker]:
        for session, state in self.pending:
            await self.inner.remember(session, state)
        self.pending.clear()
        return await self.inner.rebuild()


class UpdatesInMemory(RemembersInMemory):
    """Does the same, for updates only."""

    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        if durable:
            await self.inner.remember(session, state)
        else:
            await super().remember(session, state)


class TakesEveryWorktree(Wrapped):
    """Makes a session of each worktree that lies with those of the sessions."""

    def __init__(self, inner: SessionRecovery, context: ProviderContext) -> None:
        super().__init__(inner, context)
        self.workspace = context.workspace

    async def rebuild(self) -> Sequence[Marker]:
        markers = list(await self.inner.rebuild())
        known = {marker.session.worktree_path for marker in markers}
        for path in self.workspace.glob(".worktrees/*"):
            if str(path) not in known:
                session = markers[0].session.evolve(id=str(uuid4()), worktree_path=str(path))
                markers.append(Marker(session, MarkerState.LIVE, complete=False))
        return markers


class MarksInTheWorktree(Wrapped):
    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        await self.inner.remember(session, state, durable=durable)
        with suppress(FileNotFoundError):
            Path(session.worktree_path, ".session").write_text(state)


class TidiesUp(Wrapped):
    async def rebuild(self) -> Sequence[Marker]:
        markers = await self.inner.rebuild()
        for marker in markers:
            if marker.state is MarkerState.RELEASED:
                await self.inner.forget(marker.session.id)
        return markers


class LeavesOutTheBroken(Wrapped):
    async def rebuild(self) -> Sequence[Marker]:
        return [marker for marker in await self.inner.rebuild() if marker.complete]


class ForgetsFirst(Wrapped):
    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        with CancelScope(shield=True):
            await self.inner.forget(session.id)
        await checkpoint()
        await self.inner.remember(session, state, durable=durable)


class LeavesAThread(Wrapped):
    def __init__(self, inner: SessionRecovery, context: ProviderContext) -> None:
        super().__init__(inner, context)
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def knows_no_other(_: object) -> object:
    return lambda *_: False


RECOVERIES = (
    _mutant(
        "forgets-metadata",
        "Metadata is not remembered.",
        "a session is rebuilt with every field",
        wraps=ForgetsMetadata,
    ),
    _mutant(
        "takes-all-for-live",
        "Whatever is remembered seems alive.",
        "the state of a marker is rebuilt",
        wraps=TakesAllForLive,
    ),
    _mutant(
        "revives-by-updates",
        "A late update revives a session that is being destroyed.",
        "an update does not change the state of a marker",
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
        "sessions are rebuilt in order of creation",
        wraps=RebuildsInAnyOrder,
    ),
    _mutant(
        "remembers-in-memory",
        "A marker is written only when markers are read.",
        "a marker survives the death of the process that wrote it",
        wraps=RemembersInMemory,
    ),
    _mutant(
        "updates-in-memory",
        "An update is written only when markers are read.",
        "a marker survives the death of the process that wrote it",
        wraps=UpdatesInMemory,
    ),
    _mutant(
        "takes-every-worktree",
        "A worktree that the user made among those of the sessions passes for one of them.",
        "a worktree of the user is not a session",
        wraps=TakesEveryWorktree,
    ),
    _mutant(
        "takes-other-checkouts",
        "The sessions of another checkout of the repository pass for those of this one.",
        "the sessions of another checkout are not rebuilt",
        replaces={"frith_git.recovery:_is_of_another_workspace": knows_no_other},
    ),
    _mutant(
        "marks-in-the-worktree",
        "A marker lies among the files of its worktree.",
        "a marker is not work and survives git clean",
        wraps=MarksInTheWorktree,
    ),
    _mutant(
        "tidies-up",
        "Rebuilding forgets the sessions that were released.",
        "rebuilding changes nothing",
        wraps=TidiesUp,
    ),
    _mutant(
        "leaves-out-the-broken",
        "A marker that cannot be read is left out.",
        "an unreadable marker does not hide others",
        wraps=LeavesOutTheBroken,
    ),
    _mutant(
        "forgets-first",
        "A marker is removed before the next one is written.",
        "a cancelled update leaves the old or the new marker",
        wraps=ForgetsFirst,
    ),
    _mutant(
        "leaves-a-thread",
        "Each opening has a thread, which stays.",
        "a closed recovery leaves no descriptor and no thread",
        wraps=LeavesAThread,
    ),
    _mutant(
        "shares-its-threads",
        "Markers are written in threads that other workspaces occupy.",
        "its operations do not need the default threads",
        wraps=threads.drops_the_limiter(),
    ),
)
