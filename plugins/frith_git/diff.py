"""The changes in a worktree: the changed files, and a diff of them.

`git diff` compares, with options that override every setting of the user. It may write the index,
so it gets a copy. There untracked files are registered, which makes them new files to git.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from frith.errors import WorktreeMissingError
from frith.model import Session
from frith.ports import ChangedFile, Diff, DiffScope, FileChange, Presence
from frith_git import git
from frith_git.branches import HEADS, created_at
from frith_git.git import together
from frith_git.locate import locate
from frith_git.repository import Repository, accessing, link_target
from frith_git.status import EMPTY_TREE, temporary_index
from frith_git.threads import in_thread

_DIFF = (
    *("-c", "core.quotePath=false", "-c", "diff.suppressBlankEmpty=false"),
    *("diff", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--src-prefix=a/", "--dst-prefix=b/", "-O/dev/null", "--find-renames", "-l1000"),
    *("--diff-algorithm=default", "--submodule=short", "--ignore-submodules=dirty"),
)
_AS_LIST = ("--raw", "--numstat", "-z")
_AS_PATCH = ("--unified=3", "--inter-hunk-context=0", "--binary", "--full-index")
_PATHS_AS_THEY_ARE = {
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_GLOB_PATHSPECS": "0",
    "GIT_NOGLOB_PATHSPECS": "0",
    "GIT_ICASE_PATHSPECS": "0",
}
_ENVIRONMENT = {**_PATHS_AS_THEY_ARE, "GIT_DIFF_OPTS": ""}
_REGISTER = (
    # A split index has a part beside the user's index. The last two refuse names that only other
    # systems confuse with `.git`.
    *("-c", "core.splitIndex=false", "-c", "core.protectNTFS=false", "-c", "core.protectHFS=false"),
    *("update-index", "-z", "--index-info"),
)
_DAY = 86400.0
_KINDS = {
    b"A": FileChange.ADDED,
    b"M": FileChange.MODIFIED,
    b"D": FileChange.DELETED,
    b"R": FileChange.RENAMED,
    b"T": FileChange.TYPE_CHANGED,
    b"U": FileChange.UNMERGED,
}


async def changed_files(
    repository: Repository, session: Session, scope: DiffScope
) -> tuple[ChangedFile, ...]:
    """See :meth:`frith.ports.WorkspaceProvider.changed_files`."""
    async with _compared(repository, session, scope, ()) as compared:
        output = await compared.diff(*_AS_LIST)
        found = parse_changes(output)
        untracked = compared.untracked
    files = [
        replace(file, kind=FileChange.UNTRACKED)
        if file.kind is FileChange.ADDED and os.fsencode(file.path) in untracked
        else file
        for file in found
    ]
    files += [
        ChangedFile(os.fsdecode(name), FileChange.UNTRACKED)
        for name in untracked
        if not _can_be_in_a_diff(name)
    ]
    return tuple(sorted(files, key=lambda file: os.fsencode(file.path)))


async def diff(
    repository: Repository, session: Session, scope: DiffScope, paths: Collection[str], limit: int
) -> Diff:
    """See :meth:`frith.ports.WorkspaceProvider.diff`."""
    async with _compared(repository, session, scope, paths) as compared:
        content = await compared.diff(*_AS_PATCH, limit=limit)
    return Diff(content[:limit], is_cut=len(content) > limit)


def parse_changes(output: bytes) -> list[ChangedFile]:
    """Return the output of ``git diff --raw --numstat -z`` (git-diff(1))."""
    found: dict[bytes, tuple[FileChange, bytes | None]] = {}
    counts: dict[bytes, tuple[int | None, int | None]] = {}
    fields = iter(output.split(b"\0")[:-1])
    for field in fields:
        if field.startswith(b":"):
            letter = field.rpartition(b" ")[2][:1]
            previous = next(fields) if letter == b"R" else None
            # A conflict is followed by the difference from our side.
            found.setdefault(next(fields), (_KINDS[letter], previous))
        else:
            added, deleted, path = field.split(b"\t", 2)
            if not path:
                next(fields)
                path = next(fields)
            counts[path] = _count(added), _count(deleted)
    return [
        ChangedFile(os.fsdecode(path), kind, *counts[path], _text(previous))
        for path, (kind, previous) in found.items()
    ]


def _count(field: bytes) -> int | None:
    return None if field == b"-" else int(field)


def _text(path: bytes | None) -> str | None:
    return None if path is None else os.fsdecode(path)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What `git diff` compares."""

    path: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    untracked: Collection[bytes] = ()

    async def diff(self, *options: str, limit: int | None = None) -> bytes:
        """Run `git diff` with ``options``."""
        command = (*_DIFF, *options, *self.arguments)
        return await git.read(self.path, *command, in_tree=True, env=self.environment, limit=limit)


@asynccontextmanager
async def _compared(
    repository: Repository, session: Session, scope: DiffScope, paths: Collection[str]
) -> AsyncIterator[_Compared]:
    path = await _present(repository, session)
    only = ("--", *paths)
    with temporary_index() as variables:
        env = {**_ENVIRONMENT, **variables}
        await in_thread(_copy_index, path, env["GIT_INDEX_FILE"])
        if scope is DiffScope.STAGED:
            yield _Compared(path, ("--cached", *only), env)
            return
        if scope is DiffScope.UNSTAGED:
            # Conflicting files as a plain diff, not as a combined one.
            yield _Compared(path, ("--ours", *only), env)
            return
        untracked: set[bytes] = set()

        async def list_untracked() -> None:
            command = ("ls-files", "--others", "--exclude-standard", "-z", *only)
            listed = await git.read(path, *command, in_tree=True, env=env)
            untracked.update(listed.split(b"\0")[:-1])

        if scope is DiffScope.UNTRACKED:
            await list_untracked()
            tree = await _empty_tree(path)
            os.unlink(env["GIT_INDEX_FILE"])
            await _register(path, untracked, tree, env)
        else:
            base, _ = await together(
                partial(base_of, repository, path, session.branch), list_untracked
            )
            tree = base or await _empty_tree(path)
            with _seeming_new(env["GIT_INDEX_FILE"]):
                await _register(path, untracked, tree, env)
        yield _Compared(path, (tree, *only), env, untracked)


async def _present(repository: Repository, session: Session) -> str:
    """Return the path of the worktree of ``session``.

    Raises:
        WorktreeMissingError: it is not there.
    """
    found = await in_thread(locate, repository, session)
    if found.presence is Presence.MISSING:
        reason = "its files are gone. Resume the session to restore them from its branch."
        raise WorktreeMissingError(found.path, reason)
    if found.presence is Presence.MOVED:
        raise WorktreeMissingError(found.path, "it was moved. Repair the workspace first.")
    return found.path


def _copy_index(path: str, copy: str) -> None:
    index = f"{link_target(path) or f'{path}/.git'}/index"
    with accessing(index):
        # With its times, which git compares with those of the files.
        shutil.copy2(index, copy)


async def _empty_tree(path: str) -> str:
    return (await git.read(path, *EMPTY_TREE)).decode().strip()


@contextmanager
def _seeming_new(index: str) -> Iterator[None]:
    """Date the index into the future during the block.

    When git writes an index, it first reads every file that is not older than it. They are read
    anyway when they are compared, which needs the true time.
    """
    times = os.stat(index)
    os.utime(index, (times.st_atime, time.time() + _DAY))
    yield
    os.utime(index, ns=(times.st_atime_ns, times.st_mtime_ns))


async def _register(
    path: str, names: Collection[bytes], object_id: str, env: Mapping[str, str]
) -> None:
    """Add ``names`` to the index of ``env``, with any object, because git reads the files."""
    entries = [
        b"100644 %s 0\t%s\0" % (object_id.encode(), name)
        for name in names
        if _can_be_in_a_diff(name)
    ]
    if entries:
        await git.read(path, *_REGISTER, in_tree=True, env=env, stdin=b"".join(entries))


def _can_be_in_a_diff(name: bytes) -> bool:
    """Return whether ``name`` is neither a repository nor a name that git reserves."""
    return not name.endswith(b"/") and b".git" not in name.lower().split(b"/")


async def base_of(repository: Repository, path: str, branch: str) -> str | None:
    """Return the commit at which the branch of the worktree at ``path`` began, if any.

    See :attr:`frith.ports.DiffScope.BRANCH`. If HEAD is detached, the branch is ``branch``.
    """
    head, start, named = await together(
        partial(git.resolve, path, "HEAD^{commit}"),
        partial(git.resolve, repository.workspace, "HEAD^{commit}"),
        partial(_branch_of, path),
    )
    if head is None:
        return None
    fields = "--format=%(refname) %(upstream) %(upstream:remoteref)"
    refs = await git.read(path, "for-each-ref", fields, "--", named or HEADS + branch)
    ref, upstream, name = (os.fsdecode(refs).rstrip("\n").split(" ") + [""] * 3)[:3]
    # A branch that was pushed tracks its copy in the remote, which is not where it began.
    if upstream and name != ref:
        tracked = await git.resolve(path, f"{upstream}^{{commit}}")
        if base := await _common(path, head, tracked):
            return base
    created = await created_at(repository, ref) if ref else None
    if created == start:
        return await _common(path, head, start)
    created, start = await together(
        partial(_common, path, head, created), partial(_common, path, head, start)
    )
    if created is None or start is None:
        return created or start
    return start if await _common(path, created, start) == created else created


async def _branch_of(path: str) -> str | None:
    """Return the full name of the branch of HEAD, ``None`` if HEAD is detached."""
    output = await git.read(path, "symbolic-ref", "--quiet", "HEAD", ok=(0, 1))
    return os.fsdecode(output.rstrip(b"\n")) or None


async def _common(path: str, one: str | None, other: str | None) -> str | None:
    """Return the last commit that two commits have in common."""
    if one is None or other is None or one == other:
        return one and other
    output = await git.read(path, "merge-base", one, other, ok=(0, 1))
    return output.decode().strip() or None
