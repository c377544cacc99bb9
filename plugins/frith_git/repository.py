"""Paths of a repository and its worktrees, read from git's files (gitrepository-layout(5)).

Reading the files is faster than a git process, and never climbs to an enclosing repository. A file
that cannot be read raises :class:`GitFileError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from frith.errors import InvalidWorkspaceError, WorkspaceError
from frith.model import SessionId

WORKTREES = ".worktrees"
"""Directory in the workspace that contains the worktrees of the sessions."""

OWN_DIRECTORY = "frith"
"""Directory in a git directory that contains frith's own files."""

_GITFILE = b"gitdir: "
_BLOCK = 65536


class GitFileError(WorkspaceError):
    """A file in a git directory cannot be read or written.

    Attributes:
        path: the file or directory.
        reason: the system's message.
    """

    code = "GIT_FILE"

    def __init__(self, path: str, error: OSError) -> None:
        self.path = os.fsencode(path).decode(errors="backslashreplace")
        self.reason = error.strerror or str(error)
        super().__init__(
            f"Cannot access {self.path!r}: {self.reason}. Fix the cause, then try again."
        )


@contextmanager
def accessing(path: str) -> Iterator[None]:
    """Raise an ``OSError`` of the block as a :class:`GitFileError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise GitFileError(path, error) from error


def read_bytes(
    path: str, *, is_trusted: Callable[[os.stat_result], bool] | None = None
) -> bytes | None:
    """Return the content of a small file: ``None`` if there is none, empty if it is not trusted."""
    with accessing(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if is_trusted is not None and not is_trusted(os.fstat(descriptor)):
                    return b""
                content = block = os.read(descriptor, _BLOCK)
                while len(block) == _BLOCK:
                    block = os.read(descriptor, _BLOCK)
                    content += block
                return content
            finally:
                with suppress(OSError):  # reading has succeeded or failed already
                    os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None


def exists(path: str) -> bool:
    """Return whether there is a file, directory or link at ``path``."""
    with accessing(path), suppress(FileNotFoundError):
        os.lstat(path)
        return True
    return False


def names_in(path: str) -> list[str]:
    """Return the sorted names of the entries of the directory ``path``, none if it is missing."""
    with accessing(path), suppress(FileNotFoundError):
        return sorted(os.listdir(path))
    return []


def real_place(path: str) -> str:
    """Return ``path`` with a real directory; its last part may be a symbolic link."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def link_target(directory: str) -> str | None:
    """Return the git directory that the file ``.git`` in ``directory`` names, ``None`` if none."""
    content = read_bytes(f"{directory}/.git")
    if content is None or not content.startswith(_GITFILE):
        return None
    target = os.fsdecode(content.removeprefix(_GITFILE).rstrip(b"\r\n"))
    return os.path.normpath(os.path.join(directory, target))


def lock_reason(session_id: SessionId) -> str:
    """Return the reason with which frith locks the worktree of a session (git-worktree(1))."""
    return f"frith {session_id}"


@dataclass(frozen=True, slots=True)
class Worktree:
    """A linked worktree, as recorded in its administrative directory."""

    admin: str
    """Administrative directory, ``…/worktrees/NAME``."""
    path: str | None
    """Registered path; ``None`` if git was stopped before it wrote the path."""
    lock: str | None
    """Reason of the lock; ``None`` if the worktree is not locked."""

    def is_linked(self) -> bool:
        """Return whether the directory at :attr:`path` links back to this worktree."""
        target = link_target(self.path) if self.path else None
        return target is not None and os.path.realpath(target) == self.admin

    def is_filled(self) -> bool:
        """Return whether the checkout is complete: git writes the index after the last file."""
        return exists(f"{self.admin}/index")


def read_worktree(admin: str) -> Worktree | None:
    """Return the worktree of the administrative directory ``admin``, ``None`` if it is missing."""
    gitdir = read_bytes(f"{admin}/gitdir")
    lock = read_bytes(f"{admin}/locked")
    if gitdir is None and lock is None and not os.path.isdir(admin):
        return None
    path = None
    if gitdir:
        # Absolute, or relative to this directory (git 2.48, `worktree.useRelativePaths`).
        dot_git = os.path.join(admin, os.fsdecode(gitdir.rstrip(b"\r\n")))
        path = os.path.normpath(os.path.dirname(dot_git))
    reason = None if lock is None else lock.decode(errors="backslashreplace").rstrip("\n")
    return Worktree(admin, path, reason)


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository of a workspace."""

    workspace: str
    """Path of the workspace as it was given."""
    common: str
    """Real path of the directory that all worktrees share, usually ``.git``."""
    git_dir: str
    """Real path of the workspace's own git directory: :attr:`common`, unless it is a worktree."""
    main: str | None
    """Real path of the main worktree; ``None`` if it is unknown or the repository is bare."""

    @classmethod
    def find(cls, workspace: Path) -> Repository:
        """Return the repository whose top directory is ``workspace``.

        Raises:
            InvalidWorkspaceError: ``workspace`` is missing, is not the top of a repository, or
                has a path that is not UTF-8.
            GitFileError: the workspace or a file of git cannot be read.
        """
        path = str(workspace)
        _check_directory(path)
        link = link_target(path)
        if link is None and _is_git_directory(path):
            return cls(path, os.path.realpath(path), os.path.realpath(path), None)
        git_dir = os.path.realpath(link or f"{path}/.git")
        if not _is_git_directory(git_dir):
            raise InvalidWorkspaceError(path, _not_a_repository(path))
        common = _common_of(git_dir)
        if common == git_dir:
            return cls(path, common, git_dir, os.path.realpath(path))
        main = os.path.dirname(common) if os.path.basename(common) == ".git" else None
        return cls(path, common, git_dir, main)

    @property
    def lock(self) -> Path:
        """Lock file to hold while worktrees of this repository are changed."""
        return Path(self.common, OWN_DIRECTORY, "worktrees.lock")

    @property
    def markers_lock(self) -> Path:
        """Lock file to hold while a marker is written or its directory deleted."""
        return Path(self.common, OWN_DIRECTORY, "markers.lock")

    @property
    def stamp(self) -> str:
        """The file that names the store of the workspace."""
        return f"{self.git_dir}/{OWN_DIRECTORY}/store"

    @property
    def home(self) -> str:
        """Real path of the directory that contains the worktrees of the sessions."""
        return os.path.join(os.path.realpath(self.workspace), WORKTREES)

    def path_of(self, name: str) -> str:
        """Return the path of the session worktree in the directory ``name``."""
        return str(Path(self.workspace, WORKTREES, name))

    def admin_of(self, path: str) -> str:
        """Return the administrative directory, if any, with the name of the last part of ``path``.

        Git names it after the worktree, and the link in a worktree that was moved names it still.
        """
        return f"{self.common}/worktrees/{os.path.basename(path)}"

    def is_own(self, path: str) -> bool:
        """Return whether ``path`` is an entry of the directory of session worktrees."""
        return os.path.dirname(real_place(path)) == os.path.realpath(self.home)

    def worktrees(self) -> Iterator[Worktree]:
        """Yield every registered linked worktree."""
        root = f"{self.common}/worktrees"
        for name in names_in(root):
            if found := read_worktree(f"{root}/{name}"):
                yield found

    def worktree_at(self, path: str) -> Worktree | None:
        """Return the linked worktree registered at ``path``, or begun there, if any."""
        real = real_place(path)
        likely = read_worktree(self.admin_of(path))
        if likely and likely.path in (real, None):
            return likely
        return next((found for found in self.worktrees() if found.path == real), None)


def _check_directory(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        reason = "its path is not UTF-8, which the state file cannot hold. Rename the directory."
        raise InvalidWorkspaceError(path.encode(errors="replace").decode(), reason) from None
    with accessing(path):
        try:
            os.listdir(path)
        except FileNotFoundError:
            reason = "it does not exist. Create it, or give another directory."
            raise InvalidWorkspaceError(path, reason) from None
        except NotADirectoryError:
            raise InvalidWorkspaceError(path, "it is not a directory. Give a directory.") from None


def _is_git_directory(path: str) -> bool:
    return os.path.lexists(f"{path}/HEAD") and (
        os.path.exists(f"{path}/commondir")
        or (os.path.isdir(f"{path}/objects") and os.path.isdir(f"{path}/refs"))
    )


def _common_of(git_dir: str) -> str:
    commondir = read_bytes(f"{git_dir}/commondir")
    if commondir is None:
        return git_dir
    return os.path.realpath(os.path.join(git_dir, os.fsdecode(commondir.rstrip(b"\r\n"))))


def _not_a_repository(path: str) -> str:
    for parent in Path(os.path.realpath(path)).parents:
        if (parent / ".git").exists():
            return f"it is inside a repository. Give the top directory, {str(parent)!r}."
    return "it is not a git repository. Run `git init` there, or give another directory."
