"""Where a repository and its worktrees are, read from git's files (gitrepository-layout(5)).

Plain files instead of git processes: it is quick, and git never climbs to an enclosing repository.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frith.errors import InvalidWorkspaceError
from frith_git._files import GitFileError, accessing, read_bytes

WORKTREES = ".worktrees"
"""Directory in the workspace in which the sessions' worktrees lie."""

OWN_DIRECTORY = "frith"
"""Name of the directory, in a git directory, of what is ours alone."""

_GITFILE = b"gitdir: "


def link_target(directory: str) -> str | None:
    """Return the git directory that the ``.git`` file in ``directory`` names; ``None`` if none.

    Raises:
        GitFileError: there may be one, but it cannot be read.
    """
    try:
        content = read_bytes(f"{directory}/.git")
    except GitFileError as error:
        if isinstance(error.__cause__, IsADirectoryError):
            return None
        raise
    if content is None or not content.startswith(_GITFILE):
        return None
    target = os.fsdecode(content.removeprefix(_GITFILE).rstrip(b"\r\n"))
    return os.path.normpath(os.path.join(directory, target))


@dataclass(frozen=True, slots=True)
class Worktree:
    """A linked worktree, as its administrative directory tells."""

    admin: str
    """Administrative directory, ``…/worktrees/NAME``."""
    path: str | None
    """Where the worktree is or was; ``None`` if git was stopped before it wrote that."""
    lock: str | None
    """Why it is locked; ``None`` if it is not."""

    def is_linked(self) -> bool:
        """Tell whether the directory at :attr:`path` belongs to this worktree, and it to that."""
        target = link_target(self.path) if self.path else None
        return target is not None and os.path.realpath(target) == self.admin

    def is_filled(self) -> bool:
        """Tell whether its files have been written: git writes the index after the last of them.

        Raises:
            GitFileError: that cannot be told.
        """
        index = f"{self.admin}/index"
        with accessing(index):
            try:
                os.stat(index)
            except FileNotFoundError:
                return False
            return True


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
    """Real path of the main worktree; ``None`` if the repository is bare or it is not known."""

    @classmethod
    def find(cls, workspace: Path) -> Repository:
        """Return the repository whose top directory is ``workspace``.

        Raises:
            InvalidWorkspaceError: ``workspace`` is missing, not the top of a repository, or its
                path cannot be written in UTF-8.
            GitFileError: that cannot be told.
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
        """The file whose lock whoever changes worktrees of this repository holds."""
        return Path(self.common, OWN_DIRECTORY, "worktrees.lock")

    @property
    def markers_lock(self) -> Path:
        """The file whose lock whoever writes a marker, or deletes a directory of one, holds."""
        return Path(self.common, OWN_DIRECTORY, "markers.lock")

    @property
    def stamp(self) -> str:
        """The file that names the store of the workspace's sessions."""
        return f"{self.git_dir}/frith/store"

    @property
    def home(self) -> str:
        """Real path of the directory in which the sessions' worktrees lie."""
        return os.path.join(os.path.realpath(self.workspace), WORKTREES)

    def path_of(self, name: str) -> str:
        """Return the path of the session worktree in the directory ``name``."""
        return str(Path(self.workspace, WORKTREES, name))

    def is_own(self, path: str) -> bool:
        """Tell whether ``path`` lies directly in the directory of the sessions' worktrees."""
        return os.path.realpath(os.path.dirname(path)) == os.path.realpath(self.home)

    def worktrees(self) -> Iterator[Worktree]:
        """Yield every linked worktree that is registered.

        Raises:
            GitFileError: that cannot be told.
        """
        root = f"{self.common}/worktrees"
        try:
            names = sorted(os.listdir(root))
        except FileNotFoundError:
            return
        except OSError as error:
            raise GitFileError(root, error) from error
        for name in names:
            if found := read_worktree(f"{root}/{name}"):
                yield found

    def worktree_at(self, path: str) -> Worktree | None:
        """Return the linked worktree registered at ``path``, or begun there, if there is one.

        Raises:
            GitFileError: that cannot be told.
        """
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        likely = read_worktree(f"{self.common}/worktrees/{os.path.basename(path)}")
        if likely and likely.path in (real, None):
            return likely
        return next((found for found in self.worktrees() if found.path == real), None)


def read_worktree(admin: str) -> Worktree | None:
    """Return the worktree of an administrative directory, ``None`` if there is no such directory.

    Raises:
        GitFileError: it cannot be read.
    """
    gitdir = read_bytes(f"{admin}/gitdir")
    lock = read_bytes(f"{admin}/locked")
    if gitdir is None and lock is None and not os.path.isdir(admin):
        return None
    path = None
    if gitdir:
        # git writes an absolute path or, since 2.48 if asked to, one relative to this directory.
        dot_git = os.path.join(admin, os.fsdecode(gitdir.rstrip(b"\r\n")))
        path = os.path.normpath(os.path.dirname(dot_git))
    reason = None if lock is None else lock.decode(errors="backslashreplace").rstrip("\n")
    return Worktree(admin, path, reason)


def _check_directory(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        reason = "its path is not UTF-8, which the state file cannot hold. Rename the directory."
        raise InvalidWorkspaceError(path.encode(errors="replace").decode(), reason) from None
    try:
        os.listdir(path)
    except FileNotFoundError:
        raise InvalidWorkspaceError(
            path, "it does not exist. Create it, or give another."
        ) from None
    except NotADirectoryError:
        raise InvalidWorkspaceError(path, "it is not a directory. Give a directory.") from None
    except OSError as error:
        raise GitFileError(path, error) from error


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
            return f"it lies inside a repository. Give its top directory, {str(parent)!r}."
    return "it is not a git repository. Run `git init` there, or give another."
