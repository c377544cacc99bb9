"""Operations of a recovery that faults interrupt, and the checks afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from frith.errors import FrithError
from frith.model import Session
from frith.ports import Marker, MarkerState
from frith_testing.faults.scenario import Acknowledge, Scenario, ViolationError
from frith_testing.harness.opening import Opening
from frith_testing.harness.samples import a_full_session, a_session

AddWorktree: TypeAlias = Callable[[Path, Session], Session]
"""Makes a worktree in a workspace and returns the session that uses it. Picklable."""

_REMEMBERED = "remembered"


def add_git_worktree(workspace: Path, session: Session) -> Session:
    """Make a git worktree on a new branch."""
    path = str(workspace / ".worktrees" / session.id)
    command = ["git", "-C", str(workspace), "worktree", "add", "-q", "-b", session.branch, path]
    subprocess.run(command, check=True, capture_output=True)
    return session.evolve(worktree_path=path)


@dataclass(frozen=True)
class _RecoveryScenario(Scenario):
    """Before the work, a session with a worktree is remembered."""

    add_worktree: AddWorktree = add_git_worktree
    session: Session = field(default_factory=a_full_session)

    async def prepare(self, opening: Opening) -> None:
        there = self.add_worktree(opening.workspace, self.session)
        if there != self._old(opening).session:
            raise ViolationError("the worktree is not at .worktrees/ID of the workspace")
        async with opening.open() as recovery:
            await recovery.remember(there, MarkerState.LIVE)

    def _old(self, opening: Opening) -> Marker:
        path = str(opening.workspace / ".worktrees" / self.session.id)
        return Marker(self.session.evolve(worktree_path=path), MarkerState.LIVE)

    async def _require_writable(self, opening: Opening) -> None:
        """Require that another session can be remembered in the same worktree, and is."""
        old = self._old(opening).session
        another = a_session(branch=old.branch, worktree_path=old.worktree_path)
        async with opening.open() as recovery:
            await recovery.remember(another, MarkerState.LIVE)
            found = {marker.session.id for marker in await recovery.rebuild() if marker.complete}
        if found != {old.id, another.id}:
            raise ViolationError("a session that was remembered afterwards is not rebuilt")


@dataclass(frozen=True)
class Remembering(_RecoveryScenario):
    """A marker is replaced: afterwards it is the old or the new one, the latter if acknowledged."""

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        new = self._new(opening)
        try:
            async with opening.open() as recovery:
                await recovery.remember(new.session, new.state)
                acknowledge(_REMEMBERED)
        except FrithError:
            async with opening.open() as recovery:
                await recovery.remember(new.session, new.state)
                acknowledge(_REMEMBERED)

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        old, new = self._old(opening), self._new(opening)
        async with opening.open() as recovery:
            markers = list(await recovery.rebuild())
        if _REMEMBERED in acknowledged and markers != [new]:
            raise ViolationError(f"the remembered marker is lost; rebuilt: {markers}")
        if markers not in ([old], [new]):
            raise ViolationError(f"the marker is neither the old nor the new one: {markers}")
        await self._require_writable(opening)

    def _new(self, opening: Opening) -> Marker:
        changed = self._old(opening).session.evolve(name="renamed", metadata={"changed": True})
        return Marker(changed, MarkerState.RELEASED)


@dataclass(frozen=True)
class Rebuilding(_RecoveryScenario):
    """All sessions are rebuilt, or an error is raised."""

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        try:
            await self._require_rebuilt(opening)
        except FrithError:
            await self._require_rebuilt(opening)

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        await self._require_rebuilt(opening)
        await self._require_writable(opening)

    async def _require_rebuilt(self, opening: Opening) -> None:
        old = self._old(opening)
        async with opening.open() as recovery:
            markers = list(await recovery.rebuild())
        if markers == [old]:
            return
        if [(marker.session.id, marker.complete) for marker in markers] != [
            (old.session.id, False)
        ]:
            raise ViolationError(f"{markers} was rebuilt, not {old}")


@dataclass(frozen=True)
class NoticingMarkers(_RecoveryScenario):
    """A marker is damaged: its session is reported as incomplete, or an error is raised."""

    session: Session = field(default_factory=a_session)

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        """Do nothing: the laboratory damages the files."""

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        try:
            async with opening.open() as recovery:
                markers = list(await recovery.rebuild())
        except FrithError:
            return
        if any(marker.complete for marker in markers):
            raise ViolationError("the damage is not noticed: the marker is called complete")
        if self.session.id not in [marker.session.id for marker in markers]:
            raise ViolationError("the session of the damaged marker is missing")


RECOVERY_SCENARIOS: tuple[type[_RecoveryScenario], ...] = (Remembering, Rebuilding)
"""All operations of a file-backed recovery."""
