"""Sessions in git worktrees: the workspace provider `git` and the recovery provider `git`.

Needs git 2.33 or later (``git worktree add --lock --reason``).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
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
    """Ignored things that may be lost with a worktree: shell patterns of a file's or directory's
    name, or, with a slash, of its path in the worktree."""
    excluded: tuple[str, ...] = ("/.worktrees/", "/.claude-container-sessions.*")
    """Lines that ``info/exclude`` of the repository shall have, to keep `git status` quiet."""
    concurrency: Annotated[int, Field(ge=1)] = 4
    """How many worktrees may be filled with files at the same time."""
    checkout_workers: Annotated[int, Field(ge=0)] = 0
    """Processes that fill one large worktree; 0 for one per processor."""


_OF_MARKERS = frozenset({Capability.FILE_BACKED, Capability.CHECKSUMMED, Capability.MULTI_PROCESS})


def _open_workspace(
    options: GitWorkspaceOptions, context: ProviderContext
) -> AbstractAsyncContextManager[WorkspaceProvider]:
    from frith_git.workspace import open_workspace

    return open_workspace(options, context.workspace)


def _open_recovery(
    _options: Options, context: ProviderContext
) -> AbstractAsyncContextManager[SessionRecovery]:
    from frith_git.recovery import open_recovery

    return open_recovery(context.workspace)


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    """Offer the workspace and the recovery provider `git`."""
    return (
        ProviderSpec(Role.WORKSPACE, "git", _open_workspace, GitWorkspaceOptions),
        ProviderSpec(Role.RECOVERY, "git", _open_recovery, capabilities=_OF_MARKERS),
    )
