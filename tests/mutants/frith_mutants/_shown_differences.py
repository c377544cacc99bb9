"""Workspaces that show changes and branches wrongly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any

from frith.errors import WorktreeMissingError
from frith.model import Session
from frith.ports import Branch, ChangedFile, Diff, DiffScope
from frith_git import git
from frith_git.repository import Repository
from frith_mutants._replacing import Replacement
from frith_mutants._wrapped_workspaces import Wrapped


def without(option: str) -> Replacement:
    """Return a replacement that removes ``option`` from a command."""
    return lambda command: tuple(each for each in command if each != option)


def with_option(option: str) -> Replacement:
    """Return a replacement that adds ``option`` to a command."""
    return lambda command: (*command, option)


def takes_patterns(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "GIT_LITERAL_PATHSPECS": "0"}


def registers_nothing(_: object) -> Callable[..., Awaitable[None]]:
    async def register(*_: object) -> None:
        pass

    return register


def counts_zero(_: object) -> Callable[[bytes], int]:
    return lambda field: int(field.replace(b"-", b"0"))


def compares_with_the_tip(_: object) -> Callable[..., Awaitable[str | None]]:
    async def base_of(repository: Repository, *_: object) -> str | None:
        return await git.resolve(repository.workspace, "HEAD")

    return base_of


def knows_no_creation(_: object) -> Callable[..., Awaitable[None]]:
    async def created_at(*_: object) -> None:
        pass

    return created_at


def sees_no_rebase(_: object) -> Callable[[str], list[str]]:
    return lambda git_dir: []


class MixesScopes(Wrapped):
    async def changed_files(self, session: Session, scope: DiffScope) -> tuple[ChangedFile, ...]:
        found = await super().changed_files(session, scope)
        if scope is DiffScope.UNSTAGED:
            found += await super().changed_files(session, DiffScope.STAGED)
        return found


class RefreshesTheIndex(Wrapped):
    async def changed_files(self, session: Session, scope: DiffScope) -> tuple[ChangedFile, ...]:
        self.git("update-index", "-q", "--refresh", at=session.worktree_path)
        return await super().changed_files(session, scope)


class CutsSilently(Wrapped):
    async def diff(self, *arguments: Any, **options: Any) -> Diff:
        return replace(await super().diff(*arguments, **options), is_cut=False)


class SeesNoChangeInWhatIsGone(Wrapped):
    async def changed_files(self, session: Session, scope: DiffScope) -> tuple[ChangedFile, ...]:
        try:
            return await super().changed_files(session, scope)
        except WorktreeMissingError:
            return ()

    async def diff(
        self, session: Session, scope: DiffScope, *, paths: Collection[str] = (), limit: int
    ) -> Diff:
        try:
            return await super().diff(session, scope, paths=paths, limit=limit)
        except WorktreeMissingError:
            return Diff(b"")


class NamesNoWorktrees(Wrapped):
    async def branches(self) -> tuple[Branch, ...]:
        return tuple(replace(each, worktree_path=None) for each in await super().branches())
