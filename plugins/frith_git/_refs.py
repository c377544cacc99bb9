"""Commits of HEAD and of branches, read from git's files where those tell without doubt.

Loose refs and ``packed-refs`` (gitrepository-layout(5)). A git process costs more than all of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from frith_git._files import GitFileError, read_bytes
from frith_git._repository import Repository

HEADS = "refs/heads/"

_COMMIT = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n")
_BRANCH = re.compile(rb"ref: (refs/heads/[^\n]+)\n")


class _UnclearError(Exception):
    """Only git can tell."""


def read_refs(repository: Repository, names: Sequence[str]) -> list[str | None] | None:
    """Return for each of ``names``, ``HEAD`` or full names of branches, its commit, if any.

    Returns:
        ``None`` if any of it is for git to tell: other kinds of names or of ref storage, a ref
        that leads to another, a HEAD without commit, a workspace that is no main worktree, a
        repository of another user, which git may not trust.
    """
    if repository.main != os.path.realpath(repository.workspace):
        return None
    try:
        if os.stat(repository.common).st_uid != os.geteuid():
            return None
        return [_read(repository.common, name) for name in names]
    except (_UnclearError, GitFileError, OSError):
        return None


def _read(common: str, name: str) -> str | None:
    if name.startswith(HEADS):
        return _branch(common, os.fsencode(name))
    if name != "HEAD":
        raise _UnclearError
    head = read_bytes(f"{common}/HEAD") or b""
    # In a ref storage without files, HEAD leads to a branch that never exists.
    leads_to = _BRANCH.fullmatch(head)
    commit = _branch(common, leads_to[1]) if leads_to else _hash(head)
    if commit is None:
        raise _UnclearError
    return commit


def _branch(common: str, ref: bytes) -> str | None:
    path = os.path.join(common, os.fsdecode(ref))
    if not os.path.isdir(path) and (loose := read_bytes(path)) is not None:
        return _hash(loose)
    # After the loose ref: packing writes this file first and then deletes that.
    packed = read_bytes(f"{common}/packed-refs") or b""
    end = packed.find(b" " + ref + b"\n")
    return None if end < 0 else _hash(packed[packed.rfind(b"\n", 0, end) + 1 : end] + b"\n")


def _hash(content: bytes) -> str:
    if found := _COMMIT.fullmatch(content):
        return found[1].decode()
    raise _UnclearError
