"""Operations of a store that faults interrupt, and the checks afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from frith.errors import CommitOutcomeUnknownError, CorruptStoreError, StoreError
from frith.model import Changes, Integrity, Session, Snapshot
from frith.ports import Holder, SessionStore
from frith_testing.faults.scenario import Acknowledge, Scenario, ViolationError
from frith_testing.faults.tree import captured, changed
from frith_testing.harness.opening import Opening
from frith_testing.harness.samples import a_full_session, a_session

_SAVED, _REFUSED, _REPAIRED, _FENCE = "saved", "refused", "repaired", "fence"


def _three() -> tuple[Session, ...]:
    return (a_session(), a_full_session(), a_session())


@dataclass(frozen=True)
class _StoreScenario(Scenario):
    """Three sessions are stored before; afterwards they are there and the store can be written."""

    before: tuple[Session, ...] = field(default_factory=_three)
    last: Session = field(default_factory=a_session)
    """The check saves it, to see that the store can be written."""

    async def prepare(self, opening: Opening) -> None:
        async with opening.open() as store:
            await _put(store, self.before)

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        async with opening.open() as store:
            snapshot = await _loaded(store)
            _require_between(snapshot, self.before, ())
            await _require_writable(store, snapshot, self.last)


@dataclass(frozen=True)
class Saving(_StoreScenario):
    """A session is saved. If that is refused, another one is saved."""

    new: Session = field(default_factory=a_full_session)
    another: Session = field(default_factory=a_session)

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        if await self._save(opening, self.new, acknowledge) != _REFUSED:
            return
        async with opening.open() as store:
            _require_between(await _loaded(store), self.before, ())
        if await self._save(opening, self.another, acknowledge) != _SAVED:
            raise ViolationError("the commit after a refused one fails, too")

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        both = (self.new, self.another)
        saved = [session for session in both if f"{_SAVED} {session.id}" in acknowledged]
        refused = [session for session in both if f"{_REFUSED} {session.id}" in acknowledged]
        async with opening.open() as store:
            snapshot = await _loaded(store)
            open_ = [session for session in both if session not in refused]
            _require_between(snapshot, (*self.before, *saved), open_)
            await _require_writable(store, snapshot, self.last)

    @staticmethod
    async def _save(opening: Opening, session: Session, acknowledge: Acknowledge) -> str:
        outcome = _SAVED
        try:
            async with opening.open() as store:
                await _put(store, [session])
                acknowledge(f"{_SAVED} {session.id}")
        except CommitOutcomeUnknownError:
            return "unknown"
        except CorruptStoreError as error:
            raise ViolationError(f"a fault is taken for corruption: {error}") from error
        except StoreError:
            outcome = _REFUSED
            acknowledge(f"{_REFUSED} {session.id}")
        return outcome


@dataclass(frozen=True)
class Beginning(Saving):
    """The first session of a workspace is saved."""

    before: tuple[Session, ...] = ()

    async def prepare(self, opening: Opening) -> None:
        """Leave the workspace untouched."""


@dataclass(frozen=True)
class Loading(_StoreScenario):
    """The sessions are loaded: all of them, or an error is raised."""

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        try:
            async with opening.open() as store:
                _require_between(await store.load(), self.before, ())
        except CorruptStoreError as error:
            raise ViolationError(f"a fault is taken for corruption: {error}") from error
        except StoreError:
            async with opening.open() as store:
                _require_between(await _loaded(store), self.before, ())


@dataclass(frozen=True)
class Claiming(_StoreScenario):
    """A session is claimed by a process that ends."""

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        for attempt in ("first", "second"):
            try:
                async with (
                    opening.open() as store,
                    store.claim(self.before[0].id) as claim,
                ):
                    acknowledge(f"{_FENCE} {claim.fence}")
                    return
            except StoreError as error:
                if attempt == "second":
                    raise ViolationError(f"claiming again fails, too: {error}") from error

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        session_id = self.before[0].id
        async with opening.open() as store:
            holder = await store.holder(session_id)
            if holder is not Holder.FREE:
                raise ViolationError(f"the claim of a process that has ended is {holder}, not free")
            async with store.claim(session_id) as claim:
                for text in acknowledged:
                    if claim.fence <= int(text.removeprefix(_FENCE)):
                        raise ViolationError(f"fence {claim.fence} follows {text}")
        await super().check(opening, acknowledged)


@dataclass(frozen=True)
class Repairing(_StoreScenario):
    """Corrupt data is replaced, and must remain in some file."""

    async def prepare(self, opening: Opening) -> None:
        empty = captured(opening.workspace)
        await super().prepare(opening)
        for path in changed(empty, captured(opening.workspace)):
            file = opening.workspace / path
            whole = file.read_bytes()
            content = whole[: len(whole) * 2 // 3]
            file.write_bytes(content)
            if await _corruption(opening) is not None:
                (opening.workspace / _COPY).write_bytes(content)
                return
            file.write_bytes(whole)
        raise ViolationError("no truncated file makes the store corrupt")

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        try:
            found = await _corruption(opening)
            if found is None:
                raise ViolationError("corrupt data is loaded")
            async with opening.open() as store:
                await store.replace_corrupt(found.token, self._repaired)
                acknowledge(_REPAIRED)
        except StoreError:
            return

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        found = await _corruption(opening)
        if found is not None:
            if _REPAIRED in acknowledged:
                raise ViolationError("the store is corrupt again after its repair")
            async with opening.open() as store:
                await store.replace_corrupt(found.token, self._repaired)
        _require_kept(opening.workspace)
        await super().check(opening, acknowledged)

    @property
    def _repaired(self) -> Snapshot:
        return Snapshot({session.id: session for session in self.before})


@dataclass(frozen=True)
class Noticing(Scenario):
    """Stored data is damaged: a checksummed store must notice, others may."""

    every: bool = True
    """Whether each damage must be noticed."""
    session: Session = field(default_factory=a_session)

    async def prepare(self, opening: Opening) -> None:
        async with opening.open() as store:
            await _put(store, [self.session])

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        """Do nothing: the laboratory damages the files."""

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        try:
            async with opening.open() as store:
                found = await store.load()
        except StoreError:
            return
        if self.every and found.integrity is Integrity.VERIFIED:
            raise ViolationError("the damage is not noticed: the integrity is called verified")


STORE_SCENARIOS: tuple[type[_StoreScenario], ...] = (
    Saving,
    Beginning,
    Loading,
    Repairing,
    Claiming,
)
"""All operations of a file-backed store."""

_COPY = "what-was-corrupt"
"""File of the workspace with the corrupt data that must remain."""


async def _put(store: SessionStore, sessions: Iterable[Session]) -> None:
    changes = Changes(put=tuple(sessions))
    await store.transact(lambda _: changes)


async def _loaded(store: SessionStore) -> Snapshot:
    snapshot = await store.load()
    nothing = snapshot.integrity is Integrity.MISSING and not snapshot.sessions
    if snapshot.integrity is not Integrity.VERIFIED and not nothing:
        raise ViolationError(f"the integrity is {snapshot.integrity}, not verified")
    return snapshot


def _require_between(
    snapshot: Snapshot, required: Iterable[Session], possible: Iterable[Session]
) -> None:
    """Require all of ``required``, and nothing else but some of ``possible``."""
    rest = dict(snapshot.sessions)
    for session in required:
        found = rest.pop(session.id, None)
        if found is None:
            raise ViolationError(f"session {session.id} is lost")
        if found != session:
            raise ViolationError(f"session {session.id} differs from what was saved")
    for session in possible:
        if rest.pop(session.id, session) != session:
            raise ViolationError(f"half of session {session.id} is stored")
    if rest:
        raise ViolationError(f"sessions that were refused are stored: {', '.join(rest)}")


async def _require_writable(store: SessionStore, snapshot: Snapshot, last: Session) -> None:
    await _put(store, [last])
    sessions = {**snapshot.sessions, last.id: last}
    if (await _loaded(store)).sessions != sessions:
        raise ViolationError("a session that was saved afterwards is not loaded")


async def _corruption(opening: Opening) -> CorruptStoreError | None:
    try:
        async with opening.open() as store:
            await store.load()
    except CorruptStoreError as error:
        return error
    return None


def _require_kept(workspace: Path) -> None:
    content = (workspace / _COPY).read_bytes()
    tree = captured(workspace)
    if not any(content == entry.content for path, entry in tree.items() if path != _COPY):
        raise ViolationError("the only copy of the corrupt data is gone")
