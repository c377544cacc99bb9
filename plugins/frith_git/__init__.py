"""The workspace provider `git` and the recovery provider `git`: a worktree for each session.

Needs git 2.33 or later (``git worktree add --lock --reason``).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from frith.config import Options
from frith.hookspecs import hookimpl
from frith.providers import Capability, ProviderContext, ProviderSpec, Role

if TYPE_CHECKING:
    from frith.ports import SessionRecovery, WorkspaceProvider


class GitWorkspaceOptions(Options):
    """Options of the workspace provider `git`."""

    disposable: tuple[str, ...] = (
        "__pycache__",
        "*.pyc",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        "node_modules",
    )
    """Ignored files and directories that are removed with a worktree even without ``force``: shell
    patterns of a name or, with a slash, of a path in the worktree."""
    excluded: tuple[str, ...] = ("/.worktrees/", "/.claude-container-sessions.*")
    """Lines added to ``info/exclude`` of the repository, so that `git status` ignores the files."""
    concurrency: Annotated[int, Field(ge=1)] = 4
    """Number of worktrees that are filled with files at the same time."""
    checkout_workers: Annotated[int, Field(ge=0)] = 0
    """Number of processes that fill one large worktree; 0 for one per processor."""


_OF_WORKTREES = frozenset({Capability.DIFF, Capability.BRANCHES})
_OF_MARKERS = frozenset({Capability.FILE_BACKED, Capability.CHECKSUMMED, Capability.MULTI_PROCESS})


def _open_workspace(
    options: GitWorkspaceOptions, context: ProviderContext
) -> AbstractAsyncContextManager[WorkspaceProvider]:
    from frith_git.workspace import GitWorkspace

    return nullcontext(GitWorkspace(options, context.workspace, context.limiter))


def _open_recovery(
    _options: Options, context: ProviderContext
) -> AbstractAsyncContextManager[SessionRecovery]:
    from frith_git.recovery import open_recovery

    return open_recovery(context.workspace, context.limiter)


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    """Return the workspace and the recovery provider `git`."""
    return (
        ProviderSpec(
            Role.WORKSPACE, "git", _open_workspace, GitWorkspaceOptions, capabilities=_OF_WORKTREES
        ),
        ProviderSpec(Role.RECOVERY, "git", _open_recovery, capabilities=_OF_MARKERS),
    )
