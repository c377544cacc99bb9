"""The state of one worktree as git reports it: top level, changed files, unsaved commits."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from shlex import quote

from frith_git.git import Git, GitError, together
from frith_git.repository import GitFileError, Repository, read_bytes

_STATUS = (
    *("status", "--porcelain=v2", "-z", "--no-renames"),
    *("--branch", "--no-ahead-behind"),
    *("--ignored=matching", "--untracked-files=normal", "--ignore-submodules=dirty"),
)
_GITLINK = b"160000"
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


async def redirection(git: Git, repository: Repository, path: str) -> str:
    """Return why git in the worktree at ``path`` works on another one; empty if it does not.

    With ``extensions.worktreeConfig`` git applies ``core.worktree`` and ``core.bare`` of the
    common configuration to linked worktrees too (git-worktree(1), "Configuration file"). Then
    ``git checkout`` in the worktree overwrites files of the main worktree, or git fails.

    Runs a git process only if the extension is set. Git looks for it only in the file itself,
    not in included ones (``check_repository_format``).
    """
    with suppress(GitFileError):  # git reports it better
        if b"worktreeconfig" not in (read_bytes(f"{repository.common}/config") or b"").lower():
            return ""
    try:
        output = await git.read(path, "rev-parse", "--show-toplevel")
    except GitError as error:
        return await _explained(git, repository, error.stderr.strip())
    top = os.fsdecode(output.removesuffix(b"\n"))
    if os.path.realpath(top) == os.path.realpath(path):
        return ""
    return await _explained(git, repository, f"its top level is {top!r}")


async def _explained(git: Git, repository: Repository, reason: str) -> str:
    lines = []
    config = f"{repository.common}/config"
    for name in ("core.worktree", "core.bare"):
        output = await git.read(
            repository.workspace, "config", "--file", config, "--get", name, ok=(0, 1)
        )
        value = os.fsdecode(output.removesuffix(b"\n"))
        if value not in ("", "false"):
            command = f"git --git-dir={quote(repository.common)} config"
            lines += [f"`{command} --worktree {name} {quote(value)}`"]
            lines += [f"`{command} --local --unset {name}`"]
    remedy = f" Move the setting into the main worktree: {', then '.join(lines)}." if lines else ""
    return f"git in it would change files elsewhere ({reason}).{remedy}"


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


async def tree_status(git: Git, path: str, git_dir: str) -> TreeStatus:
    """Return the status of the worktree at ``path``, including changes that the index hides.

    Without an index, which an interrupted creation leaves, missing files do not count as changes.
    """
    if os.path.exists(f"{git_dir}/index"):
        return await _with_index(git, path, f"{git_dir}/index", {})
    async with _temporary_index() as env:
        if await git.resolve(path, "HEAD"):
            await git.run(path, "read-tree", "HEAD", in_tree=True, env=env)
        status = await _with_index(git, path, env["GIT_INDEX_FILE"], env)
        output = await git.read(path, "ls-files", "-z", "--deleted", in_tree=True, env=env)
        deleted = frozenset(output.split(b"\0"))
        status.changed = [name for name in status.changed if name not in deleted]
        return status


async def _with_index(git: Git, path: str, index: str, env: Mapping[str, str]) -> TreeStatus:
    async def read_status() -> bytes:
        return await git.read(path, *_STATUS, in_tree=True, env=env)

    async def read_flags() -> bytes:
        return await git.read(path, "ls-files", "-v", "-s", "-z", in_tree=True, env=env)

    output, flags = await together(read_status, read_flags)
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
        changed = await _hidden_changes(git, path, index, hidden)
        status.changed += [name for name in changed if name not in known]
    return status


async def _hidden_changes(git: Git, path: str, index: str, names: list[bytes]) -> list[bytes]:
    """Return those of ``names`` that differ from the index, ignoring the index's flags."""
    async with _temporary_index() as env:
        # With its times, which git compares with those of the files.
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


async def head_commit(git: Git, repository: Repository, admin: str) -> str | None:
    """Return the commit of HEAD of the worktree of ``admin``, ``None`` if HEAD names none."""
    ref = f"worktrees/{os.path.basename(admin)}/HEAD"
    return await git.resolve(repository.workspace, f"{ref}^{{commit}}")


async def staged_in(git: Git, git_dir: str, head: str | None) -> list[bytes]:
    """Return the paths that the index of ``git_dir`` has staged since ``head``; reads no files.

    Raises:
        GitError: git failed, because the index is damaged, for example.
    """
    if not os.path.exists(f"{git_dir}/index"):
        return []
    # The configured worktree may be gone.
    place = (f"--git-dir={git_dir}", f"--work-tree={git_dir}")
    empty_tree = ("hash-object", "-t", "tree", "--stdin")
    tree = head or (await git.read(git_dir, *place, *empty_tree)).decode().strip()
    options = ("--cached", "-z", "--name-only", "--ignore-submodules=dirty")
    output = await git.read(git_dir, *place, "diff-index", *options, tree, "--")
    return output.split(b"\0")[:-1]


def operation_in(git_dir: str) -> str | None:
    """Return the operation in progress in the worktree of ``git_dir``, such as ``rebase``."""
    for name, operation in _OPERATIONS.items():
        if os.path.lexists(f"{git_dir}/{name}"):
            return operation
    return None


async def unreachable_commits(
    git: Git, repository: Repository, admin: str, head: str | None
) -> tuple[str, ...]:
    """Return up to twenty commits that are reachable only from the worktree of ``admin``.

    That is from the commit of its HEAD, ``head``, or from its refs in ``refs/worktree``. If the
    branch of its HEAD was deleted (``head`` is ``None``), its reflog has the last commit.
    """
    name = os.path.basename(admin)
    starts = [f"worktrees/{name}/{ref}" for ref in _own_refs(admin)]
    if commit := head or _last_in_reflog(admin):
        starts.append(commit)
    if not starts:
        return ()
    output = await git.read(
        repository.workspace,
        *("rev-list", _AT_MOST, *starts, "--not"),
        *("--exclude=refs/bisect/*", "--exclude=refs/worktree/*", "--single-worktree", "--all"),
        "--",
    )
    return tuple(output.decode().split())


async def unpushed_commits(git: Git, git_dir: str) -> tuple[str, ...]:
    """Return up to twenty commits of HEAD, branches and stash that no remote branch reaches.

    Tags do not count, because cloning fetches them too.
    """
    output = await git.read(
        git_dir,
        # The configured worktree may be gone.
        *(f"--git-dir={git_dir}", f"--work-tree={git_dir}", "rev-list", _AT_MOST),
        *("--exclude=refs/tags/*", "--exclude=refs/remotes/*", "--all", "--not", "--remotes", "--"),
    )
    return tuple(output.decode().split())


def _own_refs(admin: str) -> list[str]:
    return [
        os.path.relpath(os.path.join(directory, name), admin)
        for directory, _, names in os.walk(f"{admin}/refs/worktree")
        for name in names
    ]


def _last_in_reflog(admin: str) -> str | None:
    lines = (read_bytes(f"{admin}/logs/HEAD") or b"").splitlines()
    return lines[-1].split(b" ", 2)[1].decode() if lines else None
