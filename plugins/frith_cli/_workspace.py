"""Which repository the command works on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from frith.errors import InvalidWorkspaceError

SESSION_ID = "FRITH_SESSION_ID"
"""Environment variable by which a process within a session finds that."""
VARIABLES = ("FRITH_WORKSPACE", "WORKSPACE_ROOT")
"""Environment variables that name the workspace; the first that is set and not empty counts."""

_BARE = re.compile(r"^\s*bare\s*=\s*true\s*$", re.MULTILINE | re.IGNORECASE)


def find_workspace(given: str | None, environ: Mapping[str, str]) -> Path:
    """Return the absolute path of the workspace, without links: one path, however it is named.

    It is the one ``given``, else the one the environment names, else the main worktree of the
    repository that encloses the current directory.

    Raises:
        InvalidWorkspaceError: it is no directory, or no repository encloses the current one.
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
    """Return the main worktree of the repository around ``start``; of a bare one, itself.

    Found without git, which would answer a linked worktree with the worktree itself.

    Raises:
        InvalidWorkspaceError: there is none, or it does not tell where its main worktree is.
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
        str(start), "no git repository encloses it; go into one, or name one with --workspace"
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
            str(worktree), f"its .git leads to {admin}, which is gone; name one with --workspace"
        )
    if not (admin / "commondir").is_file():
        return worktree  # a submodule, or a repository that keeps its .git elsewhere
    common = _read_path(admin / "commondir")
    beside = common.parent / ".git"
    if common == (_read_path(beside, "gitdir: ") if beside.is_file() else beside.resolve()):
        return common.parent
    if _BARE.search((common / "config").read_text("utf-8", "replace")):
        return common
    raise InvalidWorkspaceError(
        str(worktree), f"{common} does not tell its main worktree; name one with --workspace"
    )


def _read_path(pointer: Path, prefix: str = "") -> Path:
    """Return the path that the file ``pointer`` holds; a relative one starts beside the file."""
    text = pointer.read_bytes().decode("utf-8", "surrogateescape").rstrip("\r\n")
    return (pointer.parent / text.removeprefix(prefix)).resolve()
