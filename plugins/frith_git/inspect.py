"""Inspecting a worktree: the work that removing it would destroy, and reasons against removing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from frith.logs import printable
from frith.model import AtStake, SessionId
from frith.ports import MarkerState
from frith_git.git import GitError
from frith_git.recovery import read_marker_file
from frith_git.repository import (
    Repository,
    Worktree,
    accessing,
    link_target,
    lock_reason,
    names_in,
    real_place,
)
from frith_git.status import (
    TreeStatus,
    head_commit,
    operation_in,
    staged_in,
    tree_status,
    unpushed_commits,
    unreachable_commits,
)
from frith_git.threads import in_thread


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of an inspection."""

    at_stake: AtStake
    worktree: Worktree | None = None
    """The registered worktree, if there is one."""
    status: TreeStatus | None = None
    """Its status; ``None`` if its directory is missing or is not to be touched."""
    has_modules: bool = False
    """Whether it has submodules: then git removes it only with ``--force``."""


def _blocked(reason: str) -> AtStake:
    return AtStake(blocked=(reason,))


class Inspector:
    """Inspects worktrees without changing anything."""

    def __init__(self, repository: Repository, disposable: Iterable[str]) -> None:
        self._repository = repository
        self._disposable = tuple(disposable)

    async def inspect(self, session_id: SessionId, path: str) -> Findings:
        """Inspect the worktree at ``path`` of the session ``session_id``.

        Raises:
            GitError, GitFileError: the worktree cannot be read.
        """
        repository = self._repository
        if os.path.realpath(path) in (repository.main, os.path.realpath(repository.workspace)):
            return Findings(_blocked("it is the main worktree"))
        if not repository.is_own(path):
            return Findings(_blocked(f"it is not in {repository.home!r}"))
        worktree = repository.worktree_at(path)
        if not os.path.lexists(path):
            return await self._inspect_missing(session_id, worktree)
        if os.path.realpath(path) != real_place(path):
            return Findings(_blocked("it is a symbolic link"), worktree)
        if not os.path.isdir(path):
            return Findings(_blocked("it is not a directory"), worktree)
        if worktree is None:
            return Findings(_blocked("it is not a worktree of this repository"))
        names = names_in(path)
        # Before git runs there: without its link it would be another repository, or none.
        if names and not worktree.is_linked():
            reason = "its .git file does not name this repository; repair it"
            return Findings(_blocked(reason), worktree)
        if not names or (names == [".git"] and not worktree.is_filled()):
            return await self._inspect_missing(session_id, worktree)
        return await self._inspect_present(session_id, path, worktree)

    async def _inspect_missing(self, session_id: SessionId, worktree: Worktree | None) -> Findings:
        """Inspect the administrative directory of a worktree whose files are missing."""
        if worktree is None or worktree.path is None:
            return Findings(AtStake(), worktree)
        admin = worktree.admin
        head = await head_commit(self._repository, admin)
        at_stake = AtStake(
            staged=_shown(await staged_in(admin, head)),
            commits=await unreachable_commits(self._repository, admin, head),
            operation=operation_in(admin),
            submodules=tuple(await _unpushed_in_modules(admin)),
            blocked=tuple(self._forbidden(session_id, worktree)),
        )
        return Findings(at_stake, worktree)

    async def _inspect_present(
        self, session_id: SessionId, path: str, worktree: Worktree
    ) -> Findings:
        admin = worktree.admin
        status = await tree_status(path, admin)
        nested = await in_thread(lambda: list(nested_repositories(path, self._disposable)))
        blocked = self._forbidden(session_id, worktree)
        # Before the submodules are read, so that a later clone is not removed by force.
        has_modules = os.path.isdir(f"{admin}/modules")
        modules = await _unpushed_in_modules(admin)
        untracked = list(status.untracked)
        for found in nested:
            kept = os.path.realpath(found.git_dir).startswith(f"{admin}/")
            if found.is_worktree:
                blocked.append(f"a registered worktree is inside it at {_shown_path(found.name)!r}")
            elif kept or found.name in status.submodules:
                has_modules = True
                modules += await self._submodule(found)
                modules += [] if kept else await _unpushed(found.name, found.git_dir)
            elif not _is_listed(found.name, (*status.untracked, *status.ignored)):
                untracked.append(found.name + b"/.git/")
        at_stake = AtStake(
            staged=_shown(status.staged),
            changed=_shown(status.changed),
            untracked=_shown(untracked),
            ignored=_shown(self._not_disposable(status.ignored)),
            commits=await unreachable_commits(self._repository, admin, status.commit),
            operation=operation_in(admin),
            submodules=tuple(modules),
            blocked=tuple(dict.fromkeys(blocked)),
        )
        return Findings(at_stake, worktree, status, has_modules)

    def _forbidden(self, session_id: SessionId, worktree: Worktree) -> list[str]:
        """Return reasons that forbid removing ``worktree`` even by force."""
        sessions = read_marker_file(worktree.admin).sessions
        # Locked by frith for any session that has used it; its directory is named by the first.
        users = {
            session_id,
            os.path.basename(worktree.path or ""),
            *(found.session.id for found in sessions),
        }
        reasons = []
        if worktree.lock is not None and worktree.lock not in map(lock_reason, users):
            reasons.append(f"it is locked: {worktree.lock or 'without a reason'}")
        reasons += [
            f"session {found.session.id} uses it, too"
            for found in sessions
            if found.session.id != session_id
            and found.state in (MarkerState.LIVE, MarkerState.CREATING)
        ]
        below = f"{worktree.path}/"
        reasons += [
            f"a registered worktree is inside it at {other.path.removeprefix(below)!r}"
            for other in self._repository.worktrees()
            if other.path and other.path.startswith(below)
        ]
        return reasons

    def _not_disposable(self, ignored: Iterable[bytes]) -> list[bytes]:
        return [name for name in ignored if not _is_disposable(name, self._disposable)]

    async def _submodule(self, module: Nested) -> list[str]:
        status = await tree_status(module.path, module.git_dir)
        parts = {
            "staged": status.staged,
            "changed": status.changed,
            "untracked": status.untracked,
            "ignored": self._not_disposable(status.ignored),
        }
        found = [
            f"{len(names)} {kind} ({_shown_path(names[0])})"
            for kind, names in parts.items()
            if names
        ]
        if operation := operation_in(module.git_dir):
            found.append(f"{operation} in progress")
        return [f"{_shown_path(module.name)}: {', '.join(found)}"] if found else []


async def _unpushed_in_modules(admin: str) -> list[str]:
    directories = await in_thread(lambda: list(_module_directories(admin)))
    return [line for name, git_dir in directories for line in await _unpushed(name, git_dir)]


async def _unpushed(module: bytes, git_dir: str) -> list[str]:
    name = _shown_path(module)
    try:
        commits = await unpushed_commits(git_dir)
    except GitError as error:
        return [f"{name}: cannot be read: {error.stderr.strip()}"]
    return [f"{name}: {len(commits)} commits not pushed ({commits[0]})"] if commits else []


def _shown_path(path: bytes) -> str:
    """Return ``path`` as valid Unicode, control characters escaped."""
    return printable(path.decode(errors="backslashreplace"))


def _shown(paths: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(map(_shown_path, paths))


def _is_listed(name: bytes, listed: Iterable[bytes]) -> bool:
    return any(f == name + b"/" or (f.endswith(b"/") and name.startswith(f)) for f in listed)


def _is_disposable(path: bytes, patterns: Iterable[str]) -> bool:
    """Return whether one of ``patterns`` matches ``path`` or a directory above it."""
    whole = os.fsdecode(path).rstrip("/")
    parts = whole.split("/")
    return any(
        fnmatchcase(part, pattern)
        for pattern in patterns
        for part in ([whole] if "/" in pattern else parts)
    )


@dataclass(frozen=True, slots=True)
class Nested:
    """A directory in a worktree that has a ``.git`` of its own; `git status` skips it."""

    name: bytes
    """Path relative to the worktree."""
    path: str
    git_dir: str

    @property
    def is_worktree(self) -> bool:
        """Whether it is a linked worktree of some repository."""
        return os.path.exists(f"{self.git_dir}/commondir")


def nested_repositories(root: str, disposable: tuple[str, ...]) -> Iterator[Nested]:
    """Yield every repository below ``root``, except in disposable directories. Blocks."""
    start = os.fsencode(root)
    waiting = [start]
    while waiting:
        directory = waiting.pop()
        with accessing(os.fsdecode(directory)), os.scandir(directory) as entries:
            for entry in entries:
                if entry.name == b".git":
                    if directory != start:
                        path = os.fsdecode(directory)
                        name = os.path.relpath(directory, start)
                        yield Nested(name, path, link_target(path) or f"{path}/.git")
                elif entry.is_dir(follow_symlinks=False) and not _is_disposable(
                    entry.path[len(start) + 1 :], disposable
                ):
                    waiting.append(entry.path)


def _module_directories(admin: str) -> Iterator[tuple[bytes, str]]:
    """Yield the name and git directory of every submodule in an administrative directory.

    They are removed with the worktree, whether checked out or not (gitsubmodules(7)).
    """
    waiting = [("", f"{admin}/modules")]
    while waiting:
        name, directory = waiting.pop()
        if os.path.exists(f"{directory}/HEAD"):
            yield os.fsencode(name), directory
            waiting.append((name, f"{directory}/modules"))
            continue
        found: list[str] = []
        with accessing(directory), suppress(FileNotFoundError), os.scandir(directory) as entries:
            found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        waiting += [(f"{name}/{part}".lstrip("/"), f"{directory}/{part}") for part in found]


def without_unchanged_since(stamp: str, findings: Findings) -> AtStake:
    """Return the work at stake without files that have not changed since ``stamp`` was written.

    Files made by a `post-checkout` hook are not work. The change time of a file cannot be set
    back. Without ``stamp`` all files count.
    """
    at_stake, status = findings.at_stake, findings.status
    if status is None or findings.worktree is None or findings.worktree.path is None:
        return at_stake
    try:
        moment = os.stat(stamp).st_ctime_ns
    except FileNotFoundError:
        return at_stake
    root = Path(findings.worktree.path)

    def is_old(name: bytes) -> bool:
        path = root / os.fsdecode(name)
        try:
            return all(each.lstat().st_ctime_ns <= moment for each in (path, *path.rglob("*")))
        except (FileNotFoundError, NotADirectoryError):
            # Deleted at an unknown time.
            return False

    files = (*status.changed, *status.untracked, *status.ignored)
    old = {_shown_path(name) for name in files if is_old(name)}

    def new(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in old)

    return replace(
        at_stake,
        changed=new(at_stake.changed),
        untracked=new(at_stake.untracked),
        ignored=new(at_stake.ignored),
    )
