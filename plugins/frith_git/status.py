"""The state of one worktree as git reports it: changed files, operations, unsaved commits."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from frith_git import git
from frith_git.git import together
from frith_git.repository import Repository, read_bytes

_STATUS = (
    *("status", "--porcelain=v2", "-z", "--no-renames"),
    *("--branch", "--no-ahead-behind"),
    *("--ignored=matching", "--untracked-files=normal", "--ignore-submodules=dirty"),
)
_GITLINK = b"160000"
EMPTY_TREE = ("hash-object", "-t", "tree", "--stdin")
"""The command that prints the object id of the empty tree."""
_AT_MOST = "--max-count=20"
_OPERATIONS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "cherry-pick or revert",
    "BISECT_LOG": "bisect",
}


@dataclass(slots=True)
class TreeStatus:
    """Paths in a worktree, relative and as bytes; those of directories end with ``/``."""

    staged: list[bytes] = field(default_factory=list)
    changed: list[bytes] = field(default_factory=list)
    untracked: list[bytes] = field(default_factory=list)
    ignored: list[bytes] = field(default_factory=list)
    submodules: list[bytes] = field(default_factory=list)
    """All registered submodules."""
    commit: str | None = None
    """Commit of HEAD; ``None`` if its branch does not exist."""
    branch: str | None = None
    """Branch of HEAD; ``None`` if HEAD is detached."""


def parse_status(output: bytes) -> TreeStatus:
    """Return the output of ``git status --porcelain=v2 -z --no-renames`` (git-status(1))."""
    status = TreeStatus()
    for entry in output.split(b"\0"):
        kind, _, rest = entry.partition(b" ")
        if kind == b"?":
            status.untracked.append(rest)
        elif kind == b"!":
            status.ignored.append(rest)
        elif kind == b"1":
            flags, *_, path = rest.split(b" ", 7)
            if flags[0:1] != b".":
                status.staged.append(path)
            if flags[1:2] != b".":
                status.changed.append(path)
        elif kind == b"u":
            status.changed.append(rest.split(b" ", 9)[-1])
        elif rest.startswith(b"branch.oid ") and not rest.endswith(b" (initial)"):
            status.commit = rest[len(b"branch.oid ") :].decode()
        elif rest.startswith(b"branch.head ") and not rest.endswith(b" (detached)"):
            status.branch = os.fsdecode(rest[len(b"branch.head ") :])
    return status


async def tree_status(path: str, git_dir: str) -> TreeStatus:
    """Return the status of the worktree at ``path``, including changes that the index hides.

    Without an index, which an interrupted creation leaves, missing files do not count as changes.
    """
    if os.path.exists(f"{git_dir}/index"):
        return await _with_index(path, f"{git_dir}/index", {})
    with temporary_index() as env:
        if await git.resolve(path, "HEAD"):
            await git.run(path, "read-tree", "HEAD", in_tree=True, env=env)
        status = await _with_index(path, env["GIT_INDEX_FILE"], env)
        status.changed = [name for name in status.changed if _exists(path, name)]
        return status


async def _with_index(path: str, index: str, env: Mapping[str, str]) -> TreeStatus:
    output, flags = await together(
        partial(git.read, path, *_STATUS, in_tree=True, env=env),
        partial(git.read, path, "ls-files", "-v", "-s", "-z", in_tree=True, env=env),
    )
    status = parse_status(output)
    hidden: set[bytes] = set()
    for line in flags.split(b"\0")[:-1]:
        head, _, name = line.partition(b"\t")
        tag, mode = head.split(b" ", 2)[:2]
        if mode == _GITLINK:
            status.submodules.append(name)
        # Lower case: assume-unchanged; S: skip-worktree (git-ls-files(1)).
        elif (tag.islower() or tag == b"S") and _exists(path, name):
            hidden.add(name)
    if hidden:
        hidden.difference_update(status.changed)
        status.changed += await _hidden_changes(path, index, hidden)
    return status


def _exists(root: str, name: bytes) -> bool:
    return os.path.lexists(os.fsencode(root) + b"/" + name)


async def _hidden_changes(path: str, index: str, names: Collection[bytes]) -> list[bytes]:
    """Return those of ``names`` that differ from the index, ignoring the index's flags."""
    with temporary_index() as env:
        # With its times, which git compares with those of the files.
        shutil.copy2(index, env["GIT_INDEX_FILE"])
        run = partial(git.run, path, in_tree=True, env=env)
        stdin = b"".join(name + b"\0" for name in names)
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
            await run("update-index", flag, "-z", "--stdin", stdin=stdin)
        await run("update-index", "-q", "--refresh", ok=(0, 1))
        output = await run("diff-files", "-z", "--name-only")
    return [name for name in output.split(b"\0") if name in names]


@contextmanager
def temporary_index() -> Iterator[dict[str, str]]:
    """Yield the variable that makes git use an index of its own, which does not exist yet."""
    with tempfile.TemporaryDirectory(prefix="frith-git-") as directory:
        yield {"GIT_INDEX_FILE": f"{directory}/index"}


async def head_commit(repository: Repository, admin: str) -> str | None:
    """Return the commit of HEAD of the worktree of ``admin``, ``None`` if HEAD names none."""
    name = f"worktrees/{os.path.basename(admin)}/HEAD^{{commit}}"
    return await git.resolve(repository.workspace, name)


async def staged_in(git_dir: str, head: str | None) -> list[bytes]:
    """Return the paths that the index of ``git_dir`` has staged since ``head``; reads no files.

    Raises:
        GitError: git failed, because the index is damaged, for example.
    """
    if not os.path.exists(f"{git_dir}/index"):
        return []
    tree = head or (await _read_without_tree(git_dir, *EMPTY_TREE)).decode().strip()
    options = ("--cached", "-z", "--name-only", "--ignore-submodules=dirty")
    output = await _read_without_tree(git_dir, "diff-index", *options, tree, "--")
    return output.split(b"\0")[:-1]


async def _read_without_tree(git_dir: str, *args: str) -> bytes:
    """Read from ``git_dir``, whose configured worktree may be gone."""
    return await git.read(git_dir, f"--git-dir={git_dir}", f"--work-tree={git_dir}", *args)


def operation_in(git_dir: str) -> str | None:
    """Return the operation in progress in the worktree of ``git_dir``, such as ``rebase``."""
    for name, operation in _OPERATIONS.items():
        if os.path.lexists(f"{git_dir}/{name}"):
            return operation
    return None


async def unreachable_commits(
    repository: Repository, admin: str, head: str | None
) -> tuple[str, ...]:
    """Return up to twenty commits that are reachable only from the worktree of ``admin``.

    That is from the commit of its HEAD, ``head``, or from its refs in ``refs/worktree``. If the
    branch of its HEAD was deleted (``head`` is ``None``), its reflog has the last commit.
    """
    root = os.path.dirname(os.path.dirname(admin))
    starts = [
        os.path.relpath(os.path.join(directory, name), root)
        for directory, _, names in os.walk(f"{admin}/refs/worktree")
        for name in names
    ]
    if commit := head or _last_in_reflog(admin):
        starts.append(commit)
    if not starts:
        return ()
    excluded = ("--exclude=refs/bisect/*", "--exclude=refs/worktree/*")
    others = ("--not", *excluded, "--single-worktree", "--all", "--")
    output = await git.read(repository.workspace, "rev-list", _AT_MOST, *starts, *others)
    return tuple(output.decode().split())


async def unpushed_commits(git_dir: str) -> tuple[str, ...]:
    """Return up to twenty commits of HEAD, branches and stash that no remote branch reaches.

    Tags do not count, because cloning fetches them too.
    """
    own = ("--exclude=refs/tags/*", "--exclude=refs/remotes/*", "--all")
    names = (_AT_MOST, *own, "--not", "--remotes", "--")
    output = await _read_without_tree(git_dir, "rev-list", *names)
    return tuple(output.decode().split())


def _last_in_reflog(admin: str) -> str | None:
    lines = (read_bytes(f"{admin}/logs/HEAD") or b"").splitlines()
    return lines[-1].split(b" ", 2)[1].decode() if lines else None
