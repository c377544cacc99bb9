"""What git says of one working tree: `git status` and the flags that hide changes from it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from frith.logs import printable
from frith_git._git import Git
from frith_git._together import together

_STATUS = (
    *("status", "--porcelain=v2", "-z", "--no-renames"),
    *("--branch", "--no-ahead-behind"),
    *("--ignored=matching", "--untracked-files=normal", "--ignore-submodules=dirty"),
)
_GITLINK = b"160000"


@dataclass(slots=True)
class TreeStatus:
    """Paths, relative to the working tree and as bytes; those of directories end with ``/``."""

    staged: list[bytes] = field(default_factory=list)
    changed: list[bytes] = field(default_factory=list)
    untracked: list[bytes] = field(default_factory=list)
    ignored: list[bytes] = field(default_factory=list)
    submodules: list[bytes] = field(default_factory=list)
    """Registered submodules, in whatever state."""
    commit: str | None = None
    """The commit of HEAD; ``None`` if HEAD names a branch that does not exist."""
    branch: str | None = None
    """The branch of HEAD; ``None`` if HEAD is detached."""


def shown(path: bytes) -> str:
    """Return ``path`` for a person: valid Unicode, control characters escaped."""
    return printable(path.decode(errors="backslashreplace"))


def is_disposable(path: bytes, patterns: Iterable[str]) -> bool:
    """Tell whether one of ``patterns`` names ``path`` or a directory above it."""
    whole = os.fsdecode(path).rstrip("/")
    parts = whole.split("/")
    return any(
        fnmatchcase(whole, pattern)
        if "/" in pattern
        else any(fnmatchcase(part, pattern) for part in parts)
        for pattern in patterns
    )


def parse_status(output: bytes) -> TreeStatus:
    """Return what ``git status --porcelain=v2 -z --no-renames`` wrote (git-status(1))."""
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


async def tree_status(git: Git, path: str, git_dir: str) -> TreeStatus:
    """Return the status of the working tree at ``path``, hidden changes included.

    Without an index, as a creation leaves it that was broken off, files that are not there are
    no change: nobody has deleted them.
    """
    if os.path.exists(f"{git_dir}/index"):
        return await _with_index(git, path, f"{git_dir}/index", {})
    async with _temporary_index() as env:
        if await git.read(path, "rev-parse", "--quiet", "--verify", "HEAD", ok=(0, 1)):
            await git.run(path, "read-tree", "HEAD", in_tree=True, env=env)
        status = await _with_index(git, path, env["GIT_INDEX_FILE"], env)
        deleted = await git.read(path, "ls-files", "-z", "--deleted", in_tree=True, env=env)
        gone = frozenset(deleted.split(b"\0"))
        status.changed = [name for name in status.changed if name not in gone]
        return status


async def staged_in(git: Git, git_dir: str, head: str | None) -> list[bytes]:
    """Return what the index of ``git_dir`` has staged since the commit ``head``; needs no files.

    Raises:
        GitError: it cannot be told; the index may be damaged.
    """
    if not os.path.exists(f"{git_dir}/index"):
        return []
    # Whatever its configuration says of a working tree, which may be gone.
    place = (f"--git-dir={git_dir}", f"--work-tree={git_dir}")
    empty_tree = ("hash-object", "-t", "tree", "--stdin")
    tree = head or (await git.read(git_dir, *place, *empty_tree)).decode().strip()
    options = ("--cached", "-z", "--name-only", "--ignore-submodules=dirty")
    output = await git.read(git_dir, *place, "diff-index", *options, tree, "--")
    return output.split(b"\0")[:-1]


async def _with_index(git: Git, path: str, index: str, env: Mapping[str, str]) -> TreeStatus:
    async def ask_status() -> bytes:
        return await git.read(path, *_STATUS, in_tree=True, env=env)

    async def ask_flags() -> bytes:
        return await git.read(path, "ls-files", "-v", "-s", "-z", in_tree=True, env=env)

    output, flags = await together(ask_status, ask_flags)
    status = parse_status(output)
    hidden: list[bytes] = []
    for line in flags.split(b"\0")[:-1]:
        head, _, name = line.partition(b"\t")
        tag, mode = head.split(b" ", 2)[:2]
        if mode == _GITLINK:
            status.submodules.append(name)
        # Lower case: assume-unchanged; S: skip-worktree (git-ls-files(1)).
        elif (tag.islower() or tag == b"S") and os.path.lexists(os.fsencode(path) + b"/" + name):
            hidden.append(name)
    if hidden:
        known = set(status.changed)
        changed = await _changed_in_secret(git, path, index, hidden)
        status.changed += [name for name in changed if name not in known]
    return status


async def _changed_in_secret(git: Git, path: str, index: str, names: list[bytes]) -> list[bytes]:
    """Return those of ``names`` that differ from the index, whatever it says to assume of them."""
    async with _temporary_index() as env:
        # With its times: git compares them with those of the files.
        shutil.copy2(index, env["GIT_INDEX_FILE"])
        stdin = b"".join(name + b"\0" for name in names)
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
            update = ("update-index", flag, "-z", "--stdin")
            await git.run(path, *update, stdin=stdin, in_tree=True, env=env)
        await git.run(path, "update-index", "-q", "--refresh", ok=(0, 1), in_tree=True, env=env)
        output = await git.read(path, "diff-files", "-z", "--name-only", in_tree=True, env=env)
    hidden = set(names)
    return [name for name in output.split(b"\0") if name in hidden]


@asynccontextmanager
async def _temporary_index() -> AsyncIterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="frith-git-") as directory:
        yield {"GIT_INDEX_FILE": f"{directory}/index"}
