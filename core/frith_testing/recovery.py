"""The suite for recovery providers: see :class:`frith.ports.SessionRecovery`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from frith.model import Session, now
from frith.ports import Marker, MarkerState, SessionRecovery
from frith.providers import Capability
from frith_testing.harness.base import Opening
from frith_testing.harness.files import changed, files_of
from frith_testing.harness.process import elsewhere
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_full_session, a_session
from frith_testing.suites.recovery.marker_faults import RecoveryFaultConformance
from frith_testing.suites.recovery.marker_isolation import MarkerIsolationConformance


class RecoveryConformance(MarkerIsolationConformance, RecoveryFaultConformance, suite="recovery"):
    """Tests of a recovery provider. Define the fixture ``provider``.

    Override ``add_worktree`` if the worktrees are not git's.
    """

    @pytest.fixture
    async def recovery(self, opening: Opening) -> AsyncIterator[SessionRecovery]:
        """Return the recovery, opened."""
        async with opening.open() as provider:
            yield provider

    @pytest.fixture
    def operate(
        self, add_worktree: Callable[[Session], Session]
    ) -> Callable[[SessionRecovery], Awaitable[None]]:
        """Return a function that calls every operation of an opened provider."""

        async def operate(recovery: SessionRecovery) -> None:
            session = add_worktree(a_session())
            await recovery.remember(session, MarkerState.LIVE)
            await recovery.rebuild()
            await recovery.forget(session.id)

        return operate

    @pytest.fixture
    def add_worktree(self, workspace: Path) -> Callable[[Session], Session]:
        """Return a function that makes a worktree for a session and returns that session."""

        def add(session: Session) -> Session:
            path = str(workspace / ".worktrees" / session.id)
            subprocess.run(
                ["git", "-C", workspace, "worktree", "add", "-q", "-b", session.branch, path],
                check=True,
            )
            return session.evolve(worktree_path=path)

        return add

    async def test_a_new_workspace_has_no_sessions_to_rebuild(
        self, recovery: SessionRecovery
    ) -> None:
        assert list(await recovery.rebuild()) == []

    @pytest.mark.parametrize("durable", [True, False])
    @pytest.mark.parametrize("make", [a_session, a_full_session])
    async def test_a_session_is_rebuilt_with_every_field(
        self,
        recovery: SessionRecovery,
        opening: Opening,
        add_worktree: Callable[[Session], Session],
        make: Callable[[], Session],
        durable: bool,
    ) -> None:
        session = add_worktree(make())
        await recovery.remember(session, MarkerState.LIVE, durable=durable)
        async with opening.open() as another:
            (marker,) = await another.rebuild()
        assert marker == Marker(session, MarkerState.LIVE, complete=True)

    @pytest.mark.parametrize("state", MarkerState)
    async def test_the_state_of_a_marker_is_rebuilt(
        self,
        recovery: SessionRecovery,
        add_worktree: Callable[[Session], Session],
        state: MarkerState,
    ) -> None:
        await recovery.remember(add_worktree(a_session()), state)
        (marker,) = await recovery.rebuild()
        assert marker.state is state

    @pytest.mark.parametrize("state", [MarkerState.REMOVING, MarkerState.RELEASED])
    async def test_an_update_does_not_change_the_state_of_a_marker(
        self,
        recovery: SessionRecovery,
        add_worktree: Callable[[Session], Session],
        state: MarkerState,
    ) -> None:
        session = add_worktree(a_session())
        await recovery.remember(session, state)
        await recovery.remember(session, MarkerState.LIVE, durable=False)
        (marker,) = await recovery.rebuild()
        assert marker.state is state
        await recovery.remember(session, MarkerState.LIVE)
        (marker,) = await recovery.rebuild()
        assert marker.state is MarkerState.LIVE

    async def test_remembering_a_session_again_replaces_its_marker(
        self, recovery: SessionRecovery, add_worktree: Callable[[Session], Session]
    ) -> None:
        session = add_worktree(a_full_session())
        await recovery.remember(session, MarkerState.CREATING)
        renamed = session.evolve(name="renamed", metadata=None)
        await recovery.remember(renamed, MarkerState.LIVE)
        assert list(await recovery.rebuild()) == [Marker(renamed, MarkerState.LIVE)]

    async def test_sessions_are_rebuilt_in_order_of_creation(
        self, recovery: SessionRecovery, add_worktree: Callable[[Session], Session]
    ) -> None:
        # The ids sort differently from the times of creation.
        ids, latest = sorted(str(uuid4()) for _ in range(4)), now()
        sessions = [
            add_worktree(a_session(id=session_id, created_at=latest - timedelta(days=day)))
            for session_id, day in zip(ids, (1, 3, 0, 2), strict=True)
        ]
        for session in sessions:
            await recovery.remember(session, MarkerState.LIVE)
        rebuilt = [marker.session for marker in await recovery.rebuild()]
        assert rebuilt == sorted(sessions, key=lambda session: session.created_at)

    async def test_sessions_that_share_a_worktree_are_all_rebuilt(
        self, recovery: SessionRecovery, add_worktree: Callable[[Session], Session]
    ) -> None:
        first = add_worktree(a_session())
        second = a_session(branch=first.branch, worktree_path=first.worktree_path)
        await recovery.remember(first, MarkerState.LIVE)
        await recovery.remember(second, MarkerState.LIVE)
        assert {first.id, second.id} == await remembered(recovery)
        await recovery.forget(first.id)
        assert {second.id} == await remembered(recovery)

    async def test_markers_written_concurrently_are_all_kept(
        self,
        recovery: SessionRecovery,
        opening: Opening,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        first = add_worktree(a_session())
        sharing = [
            a_session(branch=first.branch, worktree_path=first.worktree_path) for _ in range(5)
        ]
        async with opening.open() as another, anyio.create_task_group() as tasks:
            for number, session in enumerate((first, *sharing)):
                provider = (recovery, another)[number % 2]
                tasks.start_soon(provider.remember, session, MarkerState.LIVE)
        assert await remembered(recovery) == {session.id for session in (first, *sharing)}

    async def test_remembering_a_session_without_a_worktree_does_nothing(
        self, recovery: SessionRecovery, add_worktree: Callable[[Session], Session]
    ) -> None:
        session = add_worktree(a_session())
        await recovery.remember(session, MarkerState.LIVE)
        shutil.rmtree(session.worktree_path)
        await recovery.remember(a_session(), MarkerState.LIVE)
        assert await remembered(recovery) <= {session.id}

    @promise(needs=Capability.FILE_BACKED)
    async def test_markers_are_files_of_the_workspace_until_they_are_forgotten(
        self,
        recovery: SessionRecovery,
        workspace: Path,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        session = add_worktree(a_session(metadata={"told": "by-hedgehogs"}))
        before = files_of(workspace)
        await recovery.remember(session, MarkerState.LIVE)
        after = files_of(workspace)
        written = [after[name] for name in changed(before, after)]
        assert any(session.id.encode() in each and b"by-hedgehogs" in each for each in written)
        await recovery.forget(session.id)
        assert not any(b"by-hedgehogs" in each for each in files_of(workspace).values())

    async def test_forgetting_removes_the_marker(
        self, recovery: SessionRecovery, add_worktree: Callable[[Session], Session]
    ) -> None:
        forgotten, kept = add_worktree(a_session()), add_worktree(a_session())
        for session in (forgotten, kept):
            await recovery.remember(session, MarkerState.CREATING)
        for _ in range(2):
            await recovery.forget(forgotten.id)
            assert await remembered(recovery) == {kept.id}

    async def test_forgetting_an_unknown_session_is_not_an_error(
        self, recovery: SessionRecovery
    ) -> None:
        await recovery.forget(a_session().id)

    async def test_a_marker_survives_the_death_of_the_process_that_wrote_it(
        self,
        recovery: SessionRecovery,
        opening: Opening,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        durably, as_update = add_worktree(a_full_session()), add_worktree(a_session())
        async with elsewhere(remembers, opening, durably, as_update) as other:
            await other.step()
            await other.kill()
        expected = [Marker(session, MarkerState.LIVE) for session in (durably, as_update)]
        assert list(await recovery.rebuild()) == expected

    async def test_a_rebuilt_session_has_the_current_path_of_its_worktree(
        self,
        recovery: SessionRecovery,
        opening: Opening,
        workspace: Path,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        session = add_worktree(a_session())
        await recovery.remember(session, MarkerState.LIVE)
        moved = workspace.rename(workspace.with_name("moved"))
        async with Opening(opening.spec, opening.options, moved).open() as another:
            (marker,) = await another.rebuild()
        there = session.worktree_path.replace(str(workspace), str(moved))
        assert marker == Marker(session.evolve(worktree_path=there), MarkerState.LIVE)


async def remembered(recovery: SessionRecovery) -> set[str]:
    """Return the ids of the sessions whose markers are complete."""
    markers: Sequence[Marker] = await recovery.rebuild()
    return {marker.session.id for marker in markers if marker.complete}


async def remembers(opening: Opening, durably: Session, as_update: Session) -> AsyncIterator[None]:
    """In another process: remember two sessions."""
    async with opening.open() as recovery:
        await recovery.remember(durably, MarkerState.LIVE)
        await recovery.remember(as_update, MarkerState.LIVE, durable=False)
        yield
