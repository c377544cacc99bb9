"""Work that a plain `git status` does not show."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from frith.config import ManagerConfig
from frith.errors import ProviderNotFoundError, RemovalBlockedError, WorkAtStakeError
from frith.model import AtStake, Session
from frith.ports import MarkerState, SessionRecovery, WorkspaceProvider
from frith.providers import Role
from frith_testing.harness.opening import Context
from frith_testing.harness.promises import promise
from frith_testing.harness.report import DOES_NOT_APPLY
from frith_testing.harness.samples import a_session
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.open_workspace import OpenWorkspaceConformance


class HiddenWorkConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about work that is easily overlooked."""

    @pytest.fixture
    async def recovery(self, workspace: Path) -> AsyncIterator[SessionRecovery]:
        """Return the recovery that knows which sessions share a worktree: the default one.

        Override it for a provider that works with another recovery.
        """
        name = ManagerConfig(workspace=workspace).recovery
        try:
            context = Context(workspace).open(Role.RECOVERY, name)
        except ProviderNotFoundError:
            pytest.skip(f"{DOES_NOT_APPLY}no recovery {name!r} is installed")
        async with context as recovery:
            yield recovery

    @promise(since="1.1")
    async def test_another_session_in_the_worktree_blocks_even_force(
        self, trees: WorkspaceProvider, session: Session, recovery: SessionRecovery
    ) -> None:
        other = a_session(branch=session.branch, worktree_path=session.worktree_path)
        for each in (session, other):
            await recovery.remember(each, MarkerState.LIVE)
        assert (await trees.inspect(session)).blocked
        with pytest.raises(RemovalBlockedError):
            await trees.remove(session, force=True)
        assert Path(session.worktree_path, "tracked.txt").exists()
        await recovery.remember(other, MarkerState.RELEASED)
        await trees.remove(session)
        assert not Path(session.worktree_path).exists()

    @promise(since="1.1")
    async def test_commits_of_a_submodule_that_were_not_pushed_are_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        # The repository of a submodule is removed with the worktree: gitsubmodules(7).
        library = view.workspace.with_name("library")
        view.git("init", "-q", str(library))
        view.commit(str(library))
        at, module = session.worktree_path, f"{session.worktree_path}/module"
        allow = ("-c", "protocol.file.allow=always")
        view.git(*allow, "submodule", "--quiet", "add", str(library), "module", at=at)
        view.git("commit", "-q", "-m", "add the module", at=at)
        assert await trees.inspect(session) == AtStake()
        commit = view.commit(module, "more.txt")
        view.git("commit", "-q", "-a", "-m", "use the commit", at=at)
        assert (await trees.inspect(session)).submodules
        with pytest.raises(WorkAtStakeError):
            await trees.remove(session)
        assert view.git("rev-parse", "HEAD", at=module) == commit

    @promise(since="1.1")
    async def test_a_worktree_of_another_repository_inside_blocks_even_force(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        other = view.workspace.with_name("other")
        view.git("init", "-q", str(other))
        view.commit(str(other))
        inner = Path(session.worktree_path, "one", "two", "inner")
        view.git("worktree", "add", "-q", "-b", "inner", str(inner), at=other)
        (inner / "new.txt").write_text("precious")
        assert (await trees.inspect(session)).blocked
        with pytest.raises(RemovalBlockedError):
            await trees.remove(session, force=True)
        assert (inner / "new.txt").read_text() == "precious"

    @promise(since="1.1")
    async def test_untracked_files_that_git_is_configured_not_to_show_are_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView
    ) -> None:
        view.git("config", "status.showUntrackedFiles", "no")
        work = Path(session.worktree_path, "new.txt")
        work.write_text("precious")
        with pytest.raises(WorkAtStakeError) as caught:
            await trees.remove(session)
        assert caught.value.at_stake == AtStake(untracked=("new.txt",))
        assert work.read_text() == "precious"

    @promise(since="1.1")
    @pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
    async def test_changes_that_the_index_hides_are_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView, flag: str
    ) -> None:
        view.git("update-index", flag, "tracked.txt", at=session.worktree_path)
        work = Path(session.worktree_path, "tracked.txt")
        work.write_text("precious")
        with pytest.raises(WorkAtStakeError) as caught:
            await trees.remove(session)
        assert caught.value.at_stake == AtStake(changed=("tracked.txt",))
        assert work.read_text() == "precious"

    @promise(since="1.1")
    @pytest.mark.parametrize("operation", ["bisect", "rebase"])
    async def test_every_operation_in_progress_is_at_stake(
        self, trees: WorkspaceProvider, session: Session, view: GitView, operation: str
    ) -> None:
        view.commit(session.worktree_path)
        begin = {"bisect": ("start",), "rebase": ("-q", "--exec", "false", "main")}[operation]
        with suppress(subprocess.CalledProcessError):  # a rebase that stops has failed
            view.git(operation, *begin, at=session.worktree_path)
        assert (await trees.inspect(session)).operation == operation
        with pytest.raises(WorkAtStakeError):
            await trees.remove(session)
        assert Path(session.worktree_path).exists()

    @promise(since="1.1")
    async def test_environment_variables_of_another_repository_hide_no_work(
        self,
        trees: WorkspaceProvider,
        session: Session,
        view: GitView,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        other = view.workspace.with_name("other")
        view.git("init", "-q", str(other))
        work = Path(session.worktree_path, "tracked.txt")
        work.write_text("precious")
        # A hook of that repository would start programs with these variables.
        monkeypatch.setenv("GIT_DIR", str(other / ".git"))
        monkeypatch.setenv("GIT_WORK_TREE", str(other))
        assert await trees.inspect(session) == AtStake(changed=("tracked.txt",))
        with pytest.raises(WorkAtStakeError):
            await trees.remove(session)
        assert work.read_text() == "precious"
