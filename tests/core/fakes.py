"""Fakes of the five ports: views of a :class:`World`, with nothing hidden."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from anyio import CancelScope, Event

from frith.errors import (
    BranchBlockedError,
    BranchNotFoundError,
    BranchTakenError,
    ClaimHeldError,
    StoreMismatchError,
    TerminalClosedError,
    WorkAtStakeError,
)
from frith.model import AtStake, ExitStatus, Session, SessionId, Snapshot
from frith.ports import (
    Attachment,
    AttachMode,
    Chunk,
    Claim,
    Committed,
    Conclusion,
    Gap,
    Holder,
    Location,
    Marker,
    MarkerState,
    Presence,
    SessionRecovery,
    SessionStore,
    Size,
    SpawnRequest,
    StatusDetector,
    StatusWatch,
    Stuck,
    SweepReport,
    Terminal,
    TerminalSpawner,
    Transaction,
    WorkspaceProvider,
    WorktreePlan,
    WorktreeRequest,
)

from .world import WORKSPACE, Watcher, World


class FakeStore(SessionStore):
    """A store in memory."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def identity(self) -> str:
        return "fake"

    async def load(self) -> Snapshot:
        self.world.loads += 1
        await self.world.step("load")
        if self.world.corrupt:
            raise self.world.corrupt
        return self.world.snapshot

    async def transact(self, fn: Transaction) -> Committed:
        await self.world.step("transact")
        if self.world.corrupt:
            raise self.world.corrupt
        found = self.world.snapshot
        changes = fn(replace(found, fences=self.world.fences))
        if changes:
            self.world.fail("write")
            self.world.writes += 1
            self.world.put(changes.apply(found), by=self)
            self.world.fail("written")
        after = self.world.snapshot
        return Committed(replace(after, integrity=found.integrity), after.revision)

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        await self.world.step("replace_corrupt")
        if self.world.corrupt and self.world.corrupt.token == token:
            self.world.corrupt = None
            self.world.put(snapshot, by=self)
        return Committed(self.world.snapshot, self.world.snapshot.revision)

    @asynccontextmanager
    async def claim(self, session_id: SessionId) -> AsyncIterator[Claim]:
        await self.world.step("claim")
        if session_id in self.world.unknown_holders:
            raise ClaimHeldError(session_id, certain=False)
        if session_id in self.world.claims:
            raise ClaimHeldError(session_id)
        fence = self.world.fences[session_id] = self.world.fences.get(session_id, 0) + 1
        self.world.claims[session_id] = fence
        claim = self.world.issued[session_id] = Claim(session_id, fence)
        try:
            with CancelScope() as self.world.contexts[session_id]:
                yield claim
        finally:
            with CancelScope(shield=True):
                try:
                    await self.world.step("release")
                finally:
                    if self.world.claims.get(session_id) == fence:
                        del self.world.claims[session_id]

    async def holder(self, session_id: SessionId) -> Holder:
        await self.world.step("holder")
        if session_id in self.world.unknown_holders:
            return Holder.UNKNOWN
        if session_id in self.world.expired_holders - self.world.claims.keys():
            return Holder.EXPIRED
        return Holder.HELD if session_id in self.world.claims else Holder.FREE

    async def holder_info(self, session_id: SessionId) -> str:
        self.world.fail("holder_info")
        return self.world.holder_info

    async def watch(self) -> AsyncIterator[frozenset[SessionId]]:
        watcher = Watcher(self)
        self.world.watchers.append(watcher)
        try:
            while True:
                await watcher.changed.wait()
                watcher.changed = Event()
                await self.world.step("watch")
                yield frozenset()
        finally:
            self.world.watchers.remove(watcher)


class FakeWorkspace(WorkspaceProvider):
    """Branches and worktrees in memory."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def bind_store(self, identity: str, *, write: bool) -> None:
        self.world.fail("bind")
        if self.world.bound and self.world.bound != identity:
            raise StoreMismatchError(WORKSPACE, self.world.bound, identity, "the world")
        if write:
            self.world.bound = identity

    async def taken(self, branches: Collection[str]) -> frozenset[str]:
        await self.world.step("taken")
        return frozenset(
            branch
            for branch in branches
            if branch in self.world.branches or self._blocking(branch) is not None
        )

    def _blocking(self, branch: str) -> str | None:
        """Return the branch that is the directory of ``branch``, as git has it, or lies in it."""
        return next(
            (
                other
                for other in sorted(self.world.branches)
                if f"{branch}/".startswith(f"{other}/") != f"{other}/".startswith(f"{branch}/")
            ),
            None,
        )

    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        await self.world.step("plan")
        exists = request.branch in self.world.branches
        if exists and not request.existing:
            raise BranchTakenError(request.branch)
        if not request.existing and (blocking := self._blocking(request.branch)):
            raise BranchBlockedError(request.branch, blocking)
        if request.existing and not exists:
            raise BranchNotFoundError(request.branch)
        path = f"{WORKSPACE}/.worktrees/{request.session_id}"
        return WorktreePlan(request.session_id, path, request.branch, not exists, "0" * 40)

    async def create(self, plan: WorktreePlan) -> None:
        await self.world.step("create")
        self.world.branches.add(plan.branch)
        self.world.worktrees[plan.path] = plan.branch

    async def discard(self, plan: WorktreePlan) -> AtStake:
        await self.world.step("discard")
        at_stake = self.world.at_stake.get(plan.path, AtStake())
        if not at_stake:
            self.world.worktrees.pop(plan.path, None)
            self.world.markers.pop(plan.session_id, None)
            if plan.creates_branch:
                self.world.branches.discard(plan.branch)
        return at_stake

    async def restore(self, session: Session) -> None:
        await self.world.step("restore")
        self.world.worktrees[session.worktree_path] = session.branch
        self.world.presence.pop(session.id, None)

    async def locate(self, sessions: Collection[Session]) -> dict[SessionId, Location]:
        await self.world.step("locate")
        found = {}
        for session in sessions:
            paths = [session.worktree_path, f"{WORKSPACE}/.worktrees/{session.id}"]
            path = next((path for path in paths if path in self.world.worktrees), paths[0])
            there = path in self.world.worktrees
            presence = Presence.PRESENT if there else Presence.MISSING
            presence = self.world.presence.get(session.id, presence)
            reason = f"{presence.value} by the configuration"
            found[session.id] = Location(presence, path, reason)
        return found

    async def inspect(self, session: Session) -> AtStake:
        await self.world.step("inspect")
        return self.world.at_stake.get(session.worktree_path, AtStake())

    async def remove(self, session: Session, *, force: bool = False) -> None:
        await self.world.step("remove")
        at_stake = self.world.at_stake.get(session.worktree_path)
        if at_stake and not force:
            raise WorkAtStakeError(session.worktree_path, at_stake)
        self.world.worktrees.pop(session.worktree_path, None)
        self.world.markers.pop(session.id, None)

    async def repair(self) -> tuple[str, ...]:
        await self.world.step("repair")
        return tuple(self.world.presence.pop(key) for key in list(self.world.presence))


class FakeRecovery(SessionRecovery):
    """Markers in memory."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def remember(self, session: Session, state: MarkerState, *, durable: bool = True) -> None:
        await self.world.step(f"remember {state}")
        known = self.world.markers.get(session.id)
        going = known and known.state in (MarkerState.REMOVING, MarkerState.RELEASED)
        if session.worktree_path in self.world.worktrees and (durable or not going):
            self.world.markers[session.id] = Marker(session, state)

    async def forget(self, session_id: SessionId) -> None:
        await self.world.step("forget")
        self.world.markers.pop(session_id, None)

    async def rebuild(self) -> Sequence[Marker]:
        await self.world.step("rebuild")
        return list(self.world.markers.values())


class FakeAttachment(Attachment):
    """A viewer of a fake terminal."""

    def __init__(self, terminal: FakeTerminal) -> None:
        self._terminal = terminal
        self.offset = 0
        self.snapshot = bytes(terminal.output)
        self._seen = len(self.snapshot)

    async def __aiter__(self) -> AsyncIterator[Chunk | Gap]:
        while self._terminal.status is None or self._seen < len(self._terminal.output):
            if self._seen == len(self._terminal.output):
                await self._terminal.changed.wait()
                continue
            data = bytes(self._terminal.output[self._seen :])
            chunk = Chunk(self._seen, data)
            self._seen += len(data)
            yield chunk


class FakeTerminal(Terminal):
    """A process that ends when told to."""

    def __init__(self, world: World, request: SpawnRequest, pid: int) -> None:
        self.world = world
        self.request = request
        self.status: ExitStatus | None = None
        self.output = bytearray()
        self.viewers = 0
        self.changed = Event()
        self.collected = self.detached = self.shut_down = False
        self._departures = 0
        self._ended = Event()
        self._pid = pid

    @property
    def session_id(self) -> SessionId:
        return self.request.session_id

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def ref(self) -> dict[str, Any]:
        return {"pid": self._pid}

    @property
    def was_shut_down(self) -> bool:
        return self.shut_down

    def say(self, data: bytes) -> None:
        """Write output."""
        self.output += data
        self.changed.set()
        self.changed = Event()

    def end(self, code: int | None = None, signal: int | None = None) -> None:
        """End the process."""
        self.status = ExitStatus(code=code, signal=signal)
        self._ended.set()
        self.changed.set()

    @asynccontextmanager
    async def attach(
        self,
        from_offset: int | None = None,
        mode: AttachMode = AttachMode.LOSSY,
        *,
        viewer: str | None = None,
    ) -> AsyncIterator[Attachment]:
        self.viewers += 1
        yield FakeAttachment(self)

    async def write(self, data: bytes) -> None:
        self.say(data)

    async def resize(self, viewer: str, size: Size) -> None:
        raise NotImplementedError

    async def signal(self, number: int) -> None:
        self.end(signal=number)

    async def signal_soon(self) -> None:
        """End it, as a sweep does."""
        self.end(signal=9)

    async def terminate(self, grace: float) -> ExitStatus:
        await self.world.step("terminate")
        if self.status is None:
            self.end(signal=15)
        return await self.exited()

    async def exited(self) -> ExitStatus:
        while self.status is None:
            await self._ended.wait()
        return self.status

    async def drained(self) -> None:
        await self._ended.wait()

    async def collect(self) -> None:
        await self.world.step("collect")
        self.collected = True

    def detach(self) -> None:
        self.detached = True

    def depart(self) -> None:
        """Let a host go away."""
        self._departures += 1
        self.changed.set()
        self.changed = Event()

    async def departed(self, seen: int = 0) -> int:
        while self._departures <= seen:
            if self.status is not None:
                raise TerminalClosedError("ended")
            await self.changed.wait()
        return self._departures


class FakeSpawner(TerminalSpawner):
    """Starts fake processes."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def spawn(self, request: SpawnRequest) -> Terminal:
        await self.world.step("spawn")
        terminal = FakeTerminal(self.world, request, 1000 + len(self.world.terminals))
        self.world.terminals.append(terminal)
        return terminal

    async def adopt(self, session: Session) -> Terminal | None:
        if not self.world.adoptable:
            return await super().adopt(session)
        await self.world.step("adopt")
        ref = session.details.terminal_ref
        return next((t for t in self.world.terminals if t.ref == ref and not t.collected), None)

    async def recall(self, session: Session) -> Terminal | None:
        await self.world.step("recall")
        *_, last = [None, *(t for t in self.world.terminals if t.session_id == session.id)]
        is_kept = last and last.collected and session.id not in self.world.forgotten
        return last if is_kept else None

    async def forget(self, session_id: SessionId) -> None:
        await self.world.step("forget")
        self.world.forgotten.add(session_id)

    async def kept(self) -> dict[SessionId, int]:
        await self.world.step("kept")
        return {t.session_id: t.pid for t in self.world.living()}

    async def sweep(self, session: Session, grace: float) -> SweepReport:
        await self.world.step("sweep")
        pids = self.world.leftovers.pop(session.id, ())
        return SweepReport(found=pids, ended=pids)


class FakeWatch(StatusWatch):
    """Concludes what it is told, by the core or by a test."""

    def __init__(self, terminal: FakeTerminal) -> None:
        self._terminal = terminal
        self._findings: list[Conclusion | Stuck] = []
        self.told: list[Conclusion] = []

    def tell(self, conclusion: Conclusion) -> None:
        self.told.append(conclusion)
        self.find(conclusion)

    def find(self, finding: Conclusion | Stuck) -> None:
        """Let the watch yield ``finding``."""
        self._findings.append(finding)
        self._terminal.say(b"")

    async def __aiter__(self) -> AsyncIterator[Conclusion | Stuck]:
        while self._terminal.status is None:
            while self._findings:
                yield self._findings.pop(0)
            await self._terminal.changed.wait()


class FakeDetector(StatusDetector):
    """Watches fake terminals."""

    def __init__(self, world: World) -> None:
        self.world = world

    @asynccontextmanager
    async def watch(self, session: Session, terminal: Terminal) -> AsyncIterator[StatusWatch]:
        assert isinstance(terminal, FakeTerminal)
        watch = self.world.watches[session.id] = FakeWatch(terminal)
        yield watch
