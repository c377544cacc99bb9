"""Creating a worktree: branch, worktree without files, files, hook; undone if any step fails.

Four git processes: `update-ref` (for a new branch), `worktree add`, then `read-tree` beside
`rev-parse`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio

from frith.errors import (
    BranchBlockedError,
    BranchTakenError,
    InvalidWorkspaceError,
    WorkspaceError,
    WorktreeRedirectedError,
)
from frith.logs import log
from frith.ports import WorktreePlan
from frith_git._branches import blocking, check_free, taken
from frith_git._files import accessing, read_bytes, replace, touch
from frith_git._git import Git, GitError
from frith_git._hooks import find_post_checkout, run_post_checkout
from frith_git._lock import exclusive, shared
from frith_git._own_branch import create_branch, delete_branch
from frith_git._removal import take_away
from frith_git._repository import Repository, Worktree
from frith_git._together import together
from frith_git._top_level import elsewhere

STAMP = "frith-created"
"""File in the administrative directory: touched when the creation was complete."""

FILLING = "frith-filling.lock"
"""File there whose lock is held while files are written, also by a git that outlives its host."""

_MANY_FILES = 1000
_UNDO_SECONDS = 60.0
_PATIENCE = 30.0


def lock_reason(session_id: str) -> str:
    """Return the reason with which the worktree of a session is locked."""
    return f"frith {session_id}"


class Creation:
    """The creation of one worktree."""

    def __init__(self, git: Git, repository: Repository, plan: WorktreePlan) -> None:
        self._git = git
        self._repository = repository
        self._plan = plan
        self._began = False

    async def begin(self, excluded: Iterable[str]) -> None:
        """Create the branch and the worktree, without files.

        Raises:
            BranchTakenError, BranchBlockedError, BranchInUseError, WorkspaceError: nothing was
                done.
        """
        plan, repository = self._plan, self._repository
        if plan.base_oid is None:
            reason = "it has no commits. Make a first commit."
            raise InvalidWorkspaceError(repository.workspace, reason)
        self._refuse_existing()
        self._began = True
        if plan.creates_branch:
            # Beside others: git creates a branch in one step or not at all. Not without the lock:
            # a git that outlives its host would create it after somebody had undone the creation.
            async with shared(repository.lock):
                with anyio.CancelScope(shield=True):
                    await self._create_branch()
        async with exclusive(repository.lock):
            # Short, and torn in two it would leave what only a guess could clear away.
            with anyio.CancelScope(shield=True):
                self._refuse_existing()
                if not plan.creates_branch:
                    check_free(repository, plan.branch, plan.path)
                _keep_out(repository, excluded)
                await self._git.run(
                    repository.workspace,
                    *("worktree", "add", "--quiet", "--no-checkout", "--lock"),
                    *("--reason", lock_reason(plan.session_id), "--", plan.path, plan.branch),
                )

    def _refuse_existing(self) -> None:
        path = self._plan.path
        if os.path.lexists(path) or self._repository.worktree_at(path):
            raise WorkspaceError(f"{path!r} exists already. Move it away, then try again.")

    async def _create_branch(self) -> None:
        plan = self._plan
        try:
            await create_branch(self._git, self._repository, plan)
        except GitError:
            if blocked := await blocking(self._git, self._repository, plan.branch):
                raise BranchBlockedError(plan.branch, blocked) from None
            if await taken(self._git, self._repository, [plan.branch]):
                raise BranchTakenError(plan.branch) from None
            raise

    async def fill(self, workers: int) -> None:
        """Write the files, run the hook, and note that the creation is complete.

        Raises:
            WorktreeRedirectedError: git in the new worktree would change files elsewhere.
            WorkspaceError: anything else.
        """
        plan = self._plan
        worktree = self._repository.worktree_at(plan.path)
        if worktree is None:
            raise WorkspaceError(f"{plan.path!r} was removed while it was being created.")
        filling = Path(worktree.admin, FILLING)

        async def write() -> None:
            async with exclusive(filling):
                await check_out(self._git, self._repository, plan.path, workers)

        async def look() -> str | None:
            if reason := await elsewhere(self._git, self._repository, plan.path):
                raise WorktreeRedirectedError(plan.path, reason)
            return await find_post_checkout(self._git, plan.path)

        _, hook = await together(write, look)
        if hook:
            await run_post_checkout(hook, plan.path, plan.base_oid or "")
        touch(f"{worktree.admin}/{STAMP}")

    async def undo(self) -> None:
        """Take away what this creation made; what cannot be is logged."""
        if not self._began:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(_UNDO_SECONDS, shield=True):
            try:
                async with exclusive(self._repository.lock):
                    await self._undo()
            except Exception as error:
                log.error("creation_not_undone", path=self._plan.path, error=str(error))

    async def _undo(self) -> None:
        plan = self._plan
        worktree = self._repository.worktree_at(plan.path)
        if worktree and worktree.lock == lock_reason(plan.session_id):
            await take_away(self._git, self._repository, worktree, plan.path, force=True)
        await delete_branch(self._git, self._repository, plan)


@asynccontextmanager
async def no_longer_filling(worktree: Worktree) -> AsyncIterator[bool]:
    """Wait until nobody writes the files of a creation; yield ``False`` if patience ran out.

    Its host may be dead, and the git that it started still be writing.
    """
    filling = Path(worktree.admin, FILLING)
    async with AsyncExitStack() as stack:
        with anyio.move_on_after(_PATIENCE) as waiting:
            if filling.exists():
                await stack.enter_async_context(exclusive(filling))
        yield not waiting.cancelled_caught


async def check_out(git: Git, repository: Repository, path: str, workers: int) -> None:
    """Write the files of HEAD into the worktree at ``path``, which has none yet.

    As `git worktree add` would: sparse if the worktree is, without the submodules.
    """
    parallel: list[str] = []
    if workers > 1 and _has_many_files(repository):
        parallel = ["-c", f"checkout.workers={workers}"]
    read_tree = ("read-tree", "--reset", "-u", "--no-recurse-submodules", "HEAD")
    await git.run(path, *parallel, *read_tree, in_tree=True)


def _has_many_files(repository: Repository) -> bool:
    """Guess from the main worktree's index, whose header says how many entries it has."""
    with suppress(OSError), open(f"{repository.common}/index", "rb") as index:
        header = index.read(12)
        return header[:4] == b"DIRC" and int.from_bytes(header[8:12], "big") >= _MANY_FILES
    return False


def _keep_out(repository: Repository, lines: Iterable[str]) -> None:
    """See that ``info/exclude`` has ``lines`` (gitignore(5))."""
    path = os.path.realpath(f"{repository.common}/info/exclude")
    content = read_bytes(path) or b""
    present = content.splitlines()
    missing = [line.encode() for line in lines if line.encode() not in present]
    if missing:
        if content and not content.endswith(b"\n"):
            content += b"\n"
        with accessing(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            replace(path, content + b"\n".join(missing) + b"\n")
