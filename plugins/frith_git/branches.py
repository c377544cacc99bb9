"""Branches: valid names, commits, collisions, and the branch that a session's creation makes."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate

from frith.errors import (
    BaseNotFoundError,
    BranchBlockedError,
    BranchInUseError,
    BranchNotFoundError,
    BranchTakenError,
    InvalidBranchError,
    InvalidWorkspaceError,
)
from frith.ports import Branch, WorktreePlan, WorktreeRequest
from frith_git import git
from frith_git.repository import GitFileError, Repository, read_bytes

HEADS = "refs/heads/"

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|\Z)|\A[-./]|[./]\Z")
_FIELDS = (
    "%(refname:lstrip=2)%00",
    "%(objectname)%00",
    "%(committerdate:unix)%00",
    "%(upstream:lstrip=2)%00",
    "%(HEAD)%00",
    "%(worktreepath)%00",
)
_LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
"""Of a commit with a later date, which git accepts."""
_LONGEST_COMPONENT = 250
"""Bytes: file systems allow 255, and git adds ``.lock``."""
_CREATED = "frith: created for session"
"""Beginning of the first message in the reflog of a branch that was created for a session."""
_COMMIT = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n")
_BRANCH = re.compile(rb"ref: (refs/heads/[^\n]+)\n")


def check_branch(branch: str) -> None:
    """Refuse a name that git does not accept for a branch (git-check-ref-format(1)).

    Raises:
        InvalidBranchError: ``branch`` is not valid.
    """
    if not branch:
        raise InvalidBranchError(branch, "it is empty")
    if branch == "HEAD" or _FORBIDDEN.search(branch):
        raise InvalidBranchError(branch)
    try:
        encoded = branch.encode()
    except UnicodeEncodeError:
        printable = branch.encode(errors="backslashreplace").decode()
        raise InvalidBranchError(printable, "it is not valid Unicode") from None
    if max(map(len, encoded.split(b"/"))) > _LONGEST_COMPONENT:
        raise InvalidBranchError(branch, f"a part of it is longer than {_LONGEST_COMPONENT} bytes")


def is_valid_branch(branch: str) -> bool:
    """Return whether git accepts ``branch`` as the name of a branch."""
    try:
        check_branch(branch)
    except InvalidBranchError:
        return False
    return True


async def taken(repository: Repository, branches: Collection[str]) -> frozenset[str]:
    """Return those of ``branches`` that exist, or collide with an existing one: ``a`` with ``a/b``.

    As in git, names that differ only in case are different.
    """
    valid = [branch for branch in branches if is_valid_branch(branch)]
    existing = await _existing_near(repository, valid)
    return frozenset(branch for branch in valid if _collision(branch, existing))


async def _existing_near(repository: Repository, branches: Iterable[str]) -> list[str]:
    """Return the existing branches with the first part of one of ``branches``. One git process."""
    patterns = {HEADS + branch.partition("/")[0] for branch in branches}
    if not patterns:
        return []
    listing = ("for-each-ref", "--format=%(refname:lstrip=2)", "--", *patterns)
    output = await git.read(repository.workspace, *listing)
    return output.decode(errors="surrogateescape").split("\n")


def _collision(branch: str, existing: Iterable[str]) -> str | None:
    for name in existing:
        if name == branch or name.startswith(f"{branch}/") or branch.startswith(f"{name}/"):
            return name
    return None


async def starting_point(repository: Repository, request: WorktreeRequest) -> str:
    """Return the commit at which the worktree of ``request`` will start.

    Runs one git process if a base is given or git's files do not answer, otherwise none.

    Raises:
        WorkspaceError: see :meth:`~frith.ports.WorkspaceProvider.plan`.
    """
    check_branch(request.branch)
    base = "HEAD" if request.base is None else request.base
    if not base or not base.isprintable():
        raise BaseNotFoundError(base.encode(errors="backslashreplace").decode())
    prefixes = list(accumulate(request.branch.split("/")[:-1], "{}/{}".format))
    names = [base, HEADS + request.branch, *(HEADS + name for name in prefixes)]
    commits = read_refs(repository, names) or await _resolve(repository.workspace, names)
    start, branch, *blocking = commits
    if request.existing:
        if not branch:
            raise BranchNotFoundError(request.branch)
        return branch
    if branch:
        raise BranchTakenError(request.branch)
    for name, commit in zip(prefixes, blocking, strict=True):
        if commit:
            raise BranchBlockedError(request.branch, name)
    if start:
        return start
    if request.base is not None:
        raise BaseNotFoundError(request.base)
    reason = "its HEAD names no commit yet. Make a first commit, or give a base."
    raise InvalidWorkspaceError(repository.workspace, reason)


async def _resolve(workspace: str, names: Iterable[str]) -> list[str | None]:
    """Return the commit of each of ``names``, ``None`` if it has none. One git process."""
    stdin = "".join(f"{name}^{{commit}}\n" for name in names).encode()
    output = await git.read(workspace, "cat-file", "--batch-check=%(objectname)", stdin=stdin)
    answers = output.decode(errors="replace").removesuffix("\n").split("\n")
    return [answer if " " not in answer else None for answer in answers]


def read_refs(repository: Repository, names: Sequence[str]) -> list[str | None] | None:
    """Return the commit of each of ``names``, read from loose and packed refs without git.

    Args:
        names: ``HEAD`` or full names of branches.

    Returns:
        ``None`` if only git can answer: for other names or ref storages, symbolic refs, a HEAD
        without a commit, a workspace that is not a main worktree, or a repository of another
        user, which git may refuse to trust.
    """
    if repository.main != os.path.realpath(repository.workspace):
        return None
    try:
        if os.stat(repository.common).st_uid != os.geteuid():
            return None
        return [_read_ref(repository.common, name) for name in names]
    except (ValueError, GitFileError, OSError):
        return None


def _read_ref(common: str, name: str) -> str | None:
    if name.startswith(HEADS):
        return _read_branch(common, os.fsencode(name))
    if name != "HEAD":
        raise ValueError(name)
    head = read_bytes(f"{common}/HEAD") or b""
    # In the reftable format, HEAD names a branch that never exists.
    target = _BRANCH.fullmatch(head)
    commit = _read_branch(common, target[1]) if target else _commit(head)
    if commit is None:
        raise ValueError(head)
    return commit


def _read_branch(common: str, ref: bytes) -> str | None:
    loose = read_bytes(os.path.join(common, os.fsdecode(ref)))
    if loose is not None:
        return _commit(loose)
    # After the loose ref: git writes packed-refs before it deletes the loose ref.
    packed = read_bytes(f"{common}/packed-refs") or b""
    end = packed.find(b" " + ref + b"\n")
    return None if end < 0 else _commit(packed[packed.rfind(b"\n", 0, end) + 1 : end] + b"\n")


def _commit(content: bytes) -> str:
    if found := _COMMIT.fullmatch(content):
        return found[1].decode()
    raise ValueError(content)


def checked_out(git_dir: str) -> list[str]:
    """Return the branches that git reserves for the worktree of ``git_dir``.

    That of HEAD, or during a rebase, when HEAD is detached, the one that is rebased.
    """
    files = ("HEAD", "rebase-merge/head-name", "rebase-apply/head-name")
    contents = (read_bytes(f"{git_dir}/{name}") or b"" for name in files)
    refs = [os.fsdecode(found.removeprefix(b"ref: ").rstrip(b"\n")) for found in contents]
    return [ref.removeprefix(HEADS) for ref in refs if ref.startswith(HEADS)]


def check_free(repository: Repository, branch: str, path: str) -> None:
    """Refuse a branch that is checked out in a worktree other than the one at ``path``.

    Raises:
        BranchInUseError: the branch is checked out elsewhere.
    """
    for git_dir, place in _places(repository):
        if place != path and branch in checked_out(git_dir):
            raise BranchInUseError(branch, place)


def _places(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield the git directory and the path of each worktree."""
    if repository.main:
        yield repository.common, repository.main
    for found in repository.worktrees():
        if found.path:
            yield found.admin, found.path


async def list_branches(repository: Repository) -> tuple[Branch, ...]:
    """Return the local branches, ordered by name. One git process."""
    in_use = {
        branch: path for git_dir, path in _places(repository) for branch in checked_out(git_dir)
    }
    listing = ("for-each-ref", f"--format={''.join(_FIELDS)}", "--", HEADS)
    output = await git.read(repository.workspace, *listing)
    fields = iter(os.fsdecode(output).split("\0")[:-1])
    entries = zip(*[fields] * len(_FIELDS), strict=True)
    return tuple(_branch(repository, in_use, *entry) for entry in entries)


def _branch(
    repository: Repository,
    in_use: Mapping[str, str],
    name: str,
    commit: str,
    moment: str,
    upstream: str,
    head: str,
    checked_out_at: str,
) -> Branch:
    name = name.removeprefix("\n")
    if checked_out_at == repository.common:  # bare
        checked_out_at = ""
    return Branch(
        name=name,
        commit=commit,
        committed_at=datetime.fromtimestamp(min(int(moment or 0), _LAST_SECOND), UTC),
        # Git names no worktree of a branch that is being rebased; its files do not name the branch
        # of HEAD in the reftable format.
        worktree_path=in_use.get(name) or checked_out_at or None,
        upstream=upstream or None,
        is_head=head == "*",
    )


async def create_branch(repository: Repository, plan: WorktreePlan) -> None:
    """Create the branch of ``plan``, with a reflog entry that names the session.

    Raises:
        BranchTakenError, BranchBlockedError, GitError: it cannot be created.
    """
    # With an empty old value git refuses if the branch exists by now.
    ref = (HEADS + plan.branch, plan.base_oid or "", "")
    try:
        await git.run(
            repository.workspace, "update-ref", "--create-reflog", "-m", _note(plan), *ref
        )
    except git.GitError:
        name = _collision(plan.branch, await _existing_near(repository, [plan.branch]))
        if name is None:
            raise
        if name == plan.branch:
            raise BranchTakenError(plan.branch) from None
        raise BranchBlockedError(plan.branch, name) from None


async def delete_branch(repository: Repository, plan: WorktreePlan) -> tuple[str, ...]:
    """Delete the branch that was created for ``plan``, recognized by its reflog, if unchanged.

    Returns:
        The commit of the branch if it was created for ``plan`` but has moved; it then stays.

    Raises:
        GitError: the branch moved at this moment.
    """
    ref = HEADS + plan.branch
    commit = await git.resolve(repository.workspace, ref) if plan.creates_branch else None
    if commit is None:
        return ()
    history = await _history(repository, ref)
    if [note for _, note in history[-1:]] != [_note(plan)]:
        return ()
    if len(history) > 1:
        return (commit,)
    await git.run(repository.workspace, "update-ref", "-d", ref, plan.base_oid or "")
    return ()


async def created_at(repository: Repository, ref: str) -> str | None:
    """Return the commit at which the branch ``ref`` was created for a session.

    ``None`` if it was created otherwise, or so long ago that its reflog has expired
    (``gc.reflogExpire``).
    """
    history = await _history(repository, ref)
    commits = [commit for commit, note in history[-1:] if note.startswith(_CREATED)]
    return commits[0] if commits else None


async def _history(repository: Repository, ref: str) -> list[tuple[str, str]]:
    """Return commit and message of each entry in the reflog of ``ref``, the newest first."""
    command = ("log", "--walk-reflogs", "--no-show-signature", "--format=%H %gs", ref, "--")
    output = await git.read(repository.workspace, *command)
    lines = [line.partition(" ") for line in output.decode(errors="replace").splitlines()]
    return [(commit, note) for commit, _, note in lines]


def _note(plan: WorktreePlan) -> str:
    return f"{_CREATED} {plan.session_id}"
