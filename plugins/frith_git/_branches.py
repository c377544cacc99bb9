"""Branches: which names are valid, which are taken, and where they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from frith.errors import (
    BaseNotFoundError,
    BranchBlockedError,
    BranchInUseError,
    BranchNotFoundError,
    BranchTakenError,
    InvalidBranchError,
    InvalidWorkspaceError,
)
from frith.ports import WorktreeRequest
from frith_git._files import read_bytes
from frith_git._git import Git
from frith_git._refs import HEADS, read_refs
from frith_git._repository import Repository
from frith_git._together import together

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|\Z)|\A[-./]|[./]\Z")
_LONGEST_COMPONENT = 250
"""Bytes; a file system takes 255 and git adds ``.lock``."""


def check_branch(branch: str) -> None:
    """Refuse what git does not accept as the name of a branch (git-check-ref-format(1)).

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
    """Tell whether git accepts ``branch`` as the name of a branch."""
    try:
        check_branch(branch)
    except InvalidBranchError:
        return False
    return True


def _above(branch: str) -> list[str]:
    """Return what cannot be a branch beside ``branch``: ``a`` and ``a/b`` for ``a/b/c``."""
    parts = branch.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


async def _resolve(git: Git, workspace: str, names: Iterable[str]) -> list[str | None]:
    """Return for each of ``names`` the commit it names, if any. One git process."""
    asked = [f"{name}^{{commit}}" for name in names]
    output = await git.read(
        workspace,
        "cat-file",
        "--batch-check=%(objectname)",
        stdin="".join(f"{line}\n" for line in asked).encode(),
    )
    answers = output.decode(errors="replace").removesuffix("\n").split("\n")
    return [answer if " " not in answer else None for answer in answers]


async def taken(git: Git, repository: Repository, branches: Collection[str]) -> frozenset[str]:
    """Return those of ``branches`` that exist, or lie above or below a branch that does.

    Names that differ in case alone are not compared, as git does not.
    """
    valid = [branch for branch in branches if is_valid_branch(branch)]
    above = sorted({name for branch in valid for name in _above(branch)})
    found: set[str] = set()
    blocking: set[str] = set()

    async def look_below() -> None:
        patterns = [HEADS + branch for branch in valid]
        output = await git.read(
            repository.workspace, "for-each-ref", "--format=%(refname:lstrip=2)", "--", *patterns
        )
        for name in output.decode(errors="surrogateescape").split("\n"):
            found.update((name, *_above(name)))

    async def look_above() -> None:
        answers = await _resolve(git, repository.workspace, [HEADS + name for name in above])
        blocking.update(name for name, oid in zip(above, answers, strict=True) if oid)

    if valid:
        await together(look_below, *([look_above] if above else []))
    return frozenset(b for b in valid if b in found or not blocking.isdisjoint(_above(b)))


async def blocking(git: Git, repository: Repository, branch: str) -> str | None:
    """Return a branch beside which ``branch`` cannot exist: one above it or below."""
    above = _above(branch)
    answers = await _resolve(git, repository.workspace, [HEADS + name for name in above])
    for name, commit in zip(above, answers, strict=False):
        if commit:
            return name
    below = await git.read(
        repository.workspace,
        *("for-each-ref", "--count=1", "--format=%(refname:lstrip=2)", "--", f"{HEADS}{branch}/"),
    )
    return below.decode(errors="surrogateescape").strip() or None


async def starting_point(git: Git, repository: Repository, request: WorktreeRequest) -> str:
    """Return the commit at which the worktree of ``request`` will start.

    No git process unless a base is given, or git's files leave something in doubt; then one.

    Raises:
        InvalidBranchError, BranchTakenError, BranchBlockedError, BranchNotFoundError,
        BaseNotFoundError, InvalidWorkspaceError: as
            :meth:`~frith.ports.WorkspaceProvider.plan` says.
    """
    check_branch(request.branch)
    base = "HEAD" if request.base is None else request.base
    if not base or not base.isprintable():
        raise BaseNotFoundError(base.encode(errors="backslashreplace").decode())
    above = _above(request.branch)
    names = [base, HEADS + request.branch, *(HEADS + name for name in above)]
    found = read_refs(repository, names) or await _resolve(git, repository.workspace, names)
    start, branch, *blocking = found
    if request.existing:
        if not branch:
            raise BranchNotFoundError(request.branch)
        return branch
    if branch:
        raise BranchTakenError(request.branch)
    for name, commit in zip(above, blocking, strict=True):
        if commit:
            raise BranchBlockedError(request.branch, name)
    if start:
        return start
    if request.base is not None:
        raise BaseNotFoundError(request.base)
    reason = "its HEAD names no commit yet. Make a first commit, or give a base."
    raise InvalidWorkspaceError(repository.workspace, reason)


def check_free(repository: Repository, branch: str, path: str) -> None:
    """Refuse a branch that another worktree than the one at ``path`` has checked out.

    Raises:
        BranchInUseError: it is checked out there.
        GitFileError: that cannot be told.
    """
    places = [(found.admin, found.path) for found in repository.worktrees()]
    if repository.main:
        places.append((repository.common, repository.main))
    for git_dir, place in places:
        if place and place != path and _uses(git_dir, branch):
            raise BranchInUseError(branch, place)


def _uses(git_dir: str, branch: str) -> bool:
    ref = (HEADS + branch).encode()
    return (
        read_bytes(f"{git_dir}/HEAD") == b"ref: " + ref + b"\n"
        # During a rebase HEAD is detached, and git still keeps the branch for it.
        or read_bytes(f"{git_dir}/rebase-merge/head-name") == ref + b"\n"
        or read_bytes(f"{git_dir}/rebase-apply/head-name") == ref + b"\n"
    )
