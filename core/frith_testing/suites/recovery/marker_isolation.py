"""A recovery tells sessions, the user's worktrees and broken markers apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio

from frith.model import Session
from frith.ports import Marker, MarkerState, SessionRecovery
from frith.providers import Capability, Role
from frith_testing.harness.base import Opening, ProviderConformance
from frith_testing.harness.files import changed, files_of
from frith_testing.harness.promises import promise
from frith_testing.harness.resources import require_nothing_left
from frith_testing.harness.samples import a_session
from frith_testing.suites.workspace.git_view import GitView


class MarkerIsolationConformance(ProviderConformance, suite="recovery"):
    """Promises about sessions, the user's worktrees and broken markers."""

    role = Role.RECOVERY

    @promise(since="1.1")
    async def test_a_worktree_of_the_user_is_not_a_session(
        self,
        recovery: SessionRecovery,
        workspace: Path,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        session = add_worktree(a_session())
        await recovery.remember(session, MarkerState.LIVE)
        view = GitView(workspace)
        view.git("worktree", "add", "-q", "-b", "theirs", str(workspace.with_name("theirs")))
        view.git("worktree", "add", "-q", "-b", "beside", str(workspace / ".worktrees" / "beside"))
        assert list(await recovery.rebuild()) == [Marker(session, MarkerState.LIVE)]

    @promise(since="1.1")
    async def test_the_sessions_of_another_checkout_are_not_rebuilt(
        self,
        recovery: SessionRecovery,
        opening: Opening,
        workspace: Path,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        # Two checkouts are worktrees of one repository, and each may be a workspace.
        checkout = workspace.with_name("checkout")
        view = GitView(workspace)
        view.git("worktree", "add", "-q", "-b", "checkout", str(checkout))
        session, path = a_session(), checkout / ".worktrees"
        view.git("worktree", "add", "-q", "-b", session.branch, str(path / session.id))
        there = session.evolve(worktree_path=str(path / session.id))
        here = add_worktree(a_session())
        async with opening.at(checkout).open() as another:
            await another.remember(there, MarkerState.LIVE)
            await recovery.remember(here, MarkerState.LIVE)
            assert [marker.session for marker in await another.rebuild()] == [there]
        assert [marker.session for marker in await recovery.rebuild()] == [here]

    @promise(since="1.1")
    async def test_a_marker_is_not_work_and_survives_git_clean(
        self,
        recovery: SessionRecovery,
        workspace: Path,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        session = add_worktree(a_session())
        await recovery.remember(session, MarkerState.LIVE)
        view = GitView(workspace)
        assert view.git("status", "--porcelain", "--ignored", at=session.worktree_path) == ""
        view.git("clean", "-f", "-d", "-x", "-q", at=session.worktree_path)
        assert list(await recovery.rebuild()) == [Marker(session, MarkerState.LIVE)]

    @promise(since="1.1")
    async def test_rebuilding_changes_nothing(
        self,
        recovery: SessionRecovery,
        workspace: Path,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        for state in MarkerState:
            await recovery.remember(add_worktree(a_session()), state)
        before = files_of(workspace)
        first = list(await recovery.rebuild())
        assert {marker.state for marker in first} == set(MarkerState)
        assert list(await recovery.rebuild()) == first
        assert files_of(workspace) == before

    @promise(since="1.1", needs=Capability.FILE_BACKED)
    async def test_an_unreadable_marker_does_not_hide_others(
        self,
        recovery: SessionRecovery,
        workspace: Path,
        add_worktree: Callable[[Session], Session],
    ) -> None:
        damaged, sound = add_worktree(a_session()), add_worktree(a_session())
        before = files_of(workspace)
        await recovery.remember(damaged, MarkerState.LIVE)
        cut = {name: files_of(workspace)[name] for name in changed(before, files_of(workspace))}
        await recovery.remember(sound, MarkerState.LIVE)
        after = files_of(workspace)
        for name, content in cut.items():
            (workspace / name).write_bytes(content[: len(content) // 2])
        markers = {marker.session.id: marker for marker in await recovery.rebuild()}
        assert markers.keys() == {damaged.id, sound.id}
        # If the files are the same as before, the other marker is in a file of its own.
        if all(after[name] == content for name, content in cut.items()):
            assert markers[sound.id] == Marker(sound, MarkerState.LIVE)

    @promise(since="1.1")
    async def test_a_cancelled_update_leaves_the_old_or_the_new_marker(
        self, recovery: SessionRecovery, add_worktree: Callable[[Session], Session]
    ) -> None:
        session = add_worktree(a_session())
        await recovery.remember(session, MarkerState.LIVE)
        renamed = session.evolve(name="renamed")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await recovery.remember(renamed, MarkerState.RELEASED)
        assert list(await recovery.rebuild()) in (
            [Marker(session, MarkerState.LIVE)],
            [Marker(renamed, MarkerState.RELEASED)],
        )
        await recovery.remember(renamed, MarkerState.REMOVING)
        assert list(await recovery.rebuild()) == [Marker(renamed, MarkerState.REMOVING)]

    @promise(since="1.1")
    async def test_a_closed_recovery_leaves_no_descriptor_and_no_thread(
        self, opening: Opening, add_worktree: Callable[[Session], Session]
    ) -> None:
        session = add_worktree(a_session())

        async def use(recovery: SessionRecovery) -> None:
            await recovery.remember(session, MarkerState.LIVE)
            await recovery.rebuild()
            await recovery.forget(session.id)

        await require_nothing_left(opening, use)
