"""Finds the repository that the command works on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from frith.errors import InvalidWorkspaceError

SESSION_ID = "FRITH_SESSION_ID"
"""Environment variable of a session's processes: the id of the session."""
VARIABLES = ("FRITH_WORKSPACE", "WORKSPACE_ROOT")
"""Environment variables that name the workspace; the first one that is not empty is used."""

_BARE = re.compile(r"^\s*bare\s*=\s*true\s*$", re.MULTILINE | re.IGNORECASE)


def find_workspace(given: str | None, environ: Mapping[str, str]) -> Path:
    """Return the absolute path of the workspace, with symbolic links resolved.

    It is ``given``, otherwise named by ``environ``, otherwise the main worktree of the repository
    that contains the current directory.

    Raises:
        InvalidWorkspaceError: it is not a directory, or the current directory is in no repository.
    """
    named = given or next((environ[name] for name in VARIABLES if environ.get(name)), None)
    if named is None:
        return enclosing_repository(_current_directory())
    path = Path(named) if Path(named).is_absolute() else _current_directory() / named
    path = path.resolve()
    if not path.is_dir():
        raise InvalidWorkspaceError(str(path), "it is not a directory")
    return path


def enclosing_repository(start: Path) -> Path:
    """Return the main worktree of the repository that contains ``start``, or a bare repository.

    git is not asked, because in a linked worktree it answers with that worktree.

    Raises:
        InvalidWorkspaceError: there is no repository, or its main worktree is unknown.
    """
    for directory in (start, *start.parents):
        dot_git = directory / ".git"
        if dot_git.is_file():
            return _of_git_file(dot_git)
        if _is_git_directory(dot_git):
            return directory
        if _is_git_directory(directory):
            return directory.parent if directory.name == ".git" else directory
    raise InvalidWorkspaceError(
        str(start), "no git repository contains it; go into one, or name one with --workspace"
    )


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise InvalidWorkspaceError(".", "the current directory was deleted") from None


def _is_git_directory(path: Path) -> bool:
    return all((path / name).is_dir() for name in ("objects", "refs")) and (path / "HEAD").exists()


def _of_git_file(dot_git: Path) -> Path:
    """See gitrepository-layout(5): ``gitdir``, ``commondir``."""
    worktree = dot_git.parent
    admin = _read_path(dot_git, "gitdir: ")
    if not admin.is_dir():
        raise InvalidWorkspaceError(
            str(worktree),
            f"its .git points to {admin}, which does not exist; name one with --workspace",
        )
    if not (admin / "commondir").is_file():
        return worktree  # a submodule, or a repository with a separate git directory
    common = _read_path(admin / "commondir")
    beside = common.parent / ".git"
    if common == (_read_path(beside, "gitdir: ") if beside.is_file() else beside.resolve()):
        return common.parent
    if _BARE.search((common / "config").read_text("utf-8", "replace")):
        return common
    raise InvalidWorkspaceError(
        str(worktree), f"the main worktree of {common} is unknown; name one with --workspace"
    )


def _read_path(pointer: Path, prefix: str = "") -> Path:
    """Return the path in the file ``pointer``; a relative one starts at the file's directory."""
    text = pointer.read_bytes().decode("utf-8", "surrogateescape").rstrip("\r\n")
    return (pointer.parent / text.removeprefix(prefix)).resolve()
