"""What removing a worktree would destroy, and what forbids it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

import anyio

from frith.model import AtStake, SessionId
from frith.ports import MarkerState
from frith_git._commits import operation_in, unpushed_commits, unreachable_commits
from frith_git._creation import lock_reason
from frith_git._files import names_in
from frith_git._git import Git, GitError
from frith_git._marker_file import read_marker_file
from frith_git._nested import Nested, module_directories, nested_repositories
from frith_git._repository import Repository, Worktree
from frith_git._status import TreeStatus, is_disposable, shown, staged_in, tree_status


@dataclass(frozen=True, slots=True)
class Findings:
    """The outcome of an inspection."""

    at_stake: AtStake
    worktree: Worktree | None = None
    """As it is registered; ``None`` if it is not."""
    status: TreeStatus | None = None
    """What git says of it; ``None`` if its directory is missing or is not to be touched."""
    has_modules: bool = False
    """Whether it has or keeps submodules: git removes it only by force."""


def _blocked(*reasons: str) -> AtStake:
    return AtStake(blocked=reasons)


class Inspector:
    """Looks at worktrees, changing nothing."""

    def __init__(self, git: Git, repository: Repository, disposable: Iterable[str]) -> None:
        self._git = git
        self._repository = repository
        self._disposable = tuple(disposable)

    async def inspect(self, session_id: SessionId, path: str) -> Findings:
        """Look at the worktree at ``path`` of the session ``session_id``.

        Raises:
            GitError, GitFileError: it cannot be told.
        """
        repository = self._repository
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if os.path.realpath(path) in (repository.main, os.path.realpath(repository.workspace)):
            return Findings(_blocked("it is the main worktree"))
        if not repository.is_own(path):
            return Findings(_blocked(f"it does not lie directly in {repository.home!r}"))
        worktree = repository.worktree_at(path)
        if not os.path.lexists(path):
            return await self._inspect_missing(session_id, worktree)
        if os.path.realpath(path) != real:
            return Findings(_blocked("it is a symbolic link"), worktree)
        if not os.path.isdir(path):
            return Findings(_blocked("it is not a directory"), worktree)
        if worktree is None:
            return Findings(_blocked("it is not a worktree of this repository"))
        # Before git runs there: without its link it would be another repository, or none.
        if not worktree.is_linked():
            if not names_in(path):
                return await self._inspect_missing(session_id, worktree)
            return Findings(_blocked("its .git file does not lead here; repair it"), worktree)
        if names_in(path) == [".git"] and not os.path.exists(f"{worktree.admin}/index"):
            return await self._inspect_missing(session_id, worktree)
        return await self._inspect_present(session_id, path, worktree)

    async def _inspect_missing(self, session_id: SessionId, worktree: Worktree | None) -> Findings:
        """Only what its administrative directory keeps can be at stake."""
        if worktree is None or worktree.path is None:
            return Findings(AtStake(), worktree)
        admin = worktree.admin
        ref = f"worktrees/{os.path.basename(admin)}/HEAD"
        output = await self._git.read(
            self._repository.workspace, "rev-parse", "--quiet", "--verify", ref, ok=(0, 1)
        )
        # All zeros: git was stopped before it wrote the real one.
        head = (output.decode().strip().strip("0") and output.decode().strip()) or None
        at_stake = AtStake(
            staged=_shown(await staged_in(self._git, admin, head)),
            commits=await unreachable_commits(self._git, self._repository, admin, head),
            operation=operation_in(admin),
            submodules=tuple(await self._modules(admin)),
            blocked=tuple(self._forbidden(session_id, worktree)),
        )
        return Findings(at_stake, worktree)

    async def _inspect_present(
        self, session_id: SessionId, path: str, worktree: Worktree
    ) -> Findings:
        admin = worktree.admin
        status = await tree_status(self._git, path, admin)
        nested = await anyio.to_thread.run_sync(
            lambda: list(nested_repositories(path, self._disposable))
        )
        blocked = self._forbidden(session_id, worktree)
        # Before they are looked at: it then covers none that is cloned meanwhile.
        has_modules = os.path.isdir(f"{admin}/modules")
        modules = await self._modules(admin)
        registered = frozenset(status.submodules)
        untracked = list(status.untracked)
        for found in nested:
            if found.is_worktree:
                blocked.append(f"a registered worktree lies in it at {shown(found.name)!r}")
            elif found.name in registered or _is_below(found.git_dir, admin):
                has_modules = True
                modules += await self._submodule(found, kept=_is_below(found.git_dir, admin))
            elif not _is_listed(found.name, (*status.untracked, *status.ignored)):
                untracked.append(found.name + b"/.git/")
        at_stake = AtStake(
            staged=_shown(status.staged),
            changed=_shown(status.changed),
            untracked=_shown(untracked),
            ignored=_shown(self._precious(status.ignored)),
            commits=await unreachable_commits(self._git, self._repository, admin, status.commit),
            operation=operation_in(admin),
            submodules=tuple(modules),
            blocked=tuple(dict.fromkeys(blocked)),
        )
        return Findings(at_stake, worktree, status, has_modules)

    def _forbidden(self, session_id: SessionId, worktree: Worktree) -> list[str]:
        reasons = []
        if worktree.lock is not None and worktree.lock not in self._own_locks(worktree, session_id):
            reasons.append(f"it is locked: {worktree.lock or 'without a reason'}")
        reasons += [
            f"session {found.session_id} lives in it, too"
            for found in read_marker_file(worktree.admin).sessions
            if found.session_id != session_id
            and found.state in (MarkerState.LIVE, MarkerState.CREATING)
        ]
        below = f"{worktree.path}/"
        reasons += [
            f"a registered worktree lies in it at {other.path.removeprefix(below)!r}"
            for other in self._repository.worktrees()
            if other.path and other.path.startswith(below)
        ]
        return reasons

    def _own_locks(self, worktree: Worktree, session_id: SessionId) -> set[str]:
        """The reasons with which frith locks it: for each session that ever lived in it.

        The one that it was made for gave its directory the name.
        """
        sessions = read_marker_file(worktree.admin).sessions
        ids = {session_id, os.path.basename(worktree.path or ""), *(s.session_id for s in sessions)}
        return set(map(lock_reason, ids))

    def _precious(self, ignored: Iterable[bytes]) -> list[bytes]:
        return [name for name in ignored if not is_disposable(name, self._disposable)]

    async def _submodule(self, module: Nested, *, kept: bool) -> list[str]:
        """Look at the working tree of a submodule, and at its commits if they are not in ours."""
        status = await tree_status(self._git, module.path, module.git_dir)
        parts = {
            "staged": status.staged,
            "changed": status.changed,
            "untracked": status.untracked,
            "ignored": self._precious(status.ignored),
        }
        found = [
            f"{len(names)} {what} ({shown(names[0])})" for what, names in parts.items() if names
        ]
        if operation := operation_in(module.git_dir):
            found.append(f"{operation} in progress")
        name = shown(module.name)
        lines = [f"{name}: {', '.join(found)}"] if found else []
        return lines if kept else lines + await self._unpushed(name, module.git_dir)

    async def _modules(self, admin: str) -> list[str]:
        directories = await anyio.to_thread.run_sync(lambda: list(module_directories(admin)))
        lines = []
        for name, git_dir in directories:
            lines += await self._unpushed(shown(os.fsencode(name)), git_dir)
        return lines

    async def _unpushed(self, name: str, git_dir: str) -> list[str]:
        try:
            commits = await unpushed_commits(self._git, git_dir)
        except GitError as error:
            return [f"{name}: cannot be read: {error.stderr.strip()}"]
        return [f"{name}: {len(commits)} commits not pushed ({commits[0]})"] if commits else []


def _shown(names: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(map(shown, names))


def _is_below(path: str, directory: str) -> bool:
    return os.path.realpath(path).startswith(f"{directory}/")


def _is_listed(name: bytes, listed: Iterable[bytes]) -> bool:
    return any(f == name + b"/" or (f.endswith(b"/") and name.startswith(f)) for f in listed)


def without_what_was_there(findings: Findings, stamp: str) -> AtStake:
    """Return what is at stake less the files that have not changed since ``stamp`` was touched.

    What a `post-checkout` hook brought is no work. A file's change time cannot be set back.
    """
    at_stake, status = findings.at_stake, findings.status
    if status is None or findings.worktree is None or findings.worktree.path is None:
        return at_stake
    try:
        moment = os.stat(stamp).st_ctime_ns
    except FileNotFoundError:
        return at_stake
    root = os.fsencode(findings.worktree.path)

    def old(name: bytes) -> bool:
        path = os.path.join(root, name.rstrip(b"/"))
        try:
            return all(os.lstat(found).st_ctime_ns <= moment for found in _everything(path))
        except (FileNotFoundError, NotADirectoryError):
            # Deleted, and nothing tells when.
            return False

    was_there = {shown(n) for n in (*status.changed, *status.untracked, *status.ignored) if old(n)}

    def new(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in was_there)

    return replace(
        at_stake,
        changed=new(at_stake.changed),
        untracked=new(at_stake.untracked),
        ignored=new(at_stake.ignored),
    )


def _everything(path: bytes) -> Iterable[bytes]:
    yield path
    for directory, names, files in os.walk(path):
        yield from (os.path.join(directory, name) for name in (*names, *files))
