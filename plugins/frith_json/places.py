"""Paths: the state file, its temporary file, its locks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from frith.errors import StoreError


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of one store."""

    file: str
    """The state file as it was named; may be a symbolic link."""
    lock: str
    """The lock file of writers."""
    claims: str
    """Directory of the lock files of claims."""
    identity: str
    """``json:`` and the path of the state file, relative to the workspace if it lies in that."""

    @classmethod
    def of(cls, workspace: Path, file: str, locks: str | None = None) -> Places:
        """Return the places for the state file ``file`` of ``workspace``.

        Locks lie in the git directory of the workspace, which ``git clean -fdx`` does not touch,
        under a name that stays the same when the workspace is mounted elsewhere. Without a
        repository, or for a file outside the workspace, which several workspaces may share, they
        lie beside the file; if ``locks`` names a directory, in that, by the path of the file.
        """
        path = Path(os.path.normpath(workspace / file))
        is_inside = path.is_relative_to(workspace)
        home = _git_directory(workspace) if is_inside else None
        real = Path(os.path.realpath(path))
        if home is not None:
            root, name = home / "frith", quote(str(path.relative_to(workspace)), safe="")
        else:
            root, name = real.parent / ".frith", real.name
        if locks is not None:
            root, name = Path(locks).joinpath(*real.parts[1:-1]), real.name
        identity = f"json:{_named(path, workspace)}"
        return cls(str(path), str(root / f"{name}.lock"), str(root / "claims"), identity)

    @property
    def target(self) -> str:
        """The file itself, where :attr:`file` is a symbolic link to it.

        Raises:
            StoreError: it is unknown whether there is a link, which must not be replaced.
        """
        try:
            is_link = stat.S_ISLNK(os.lstat(self.file).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return self.file
        except OSError as error:
            raise StoreError(
                f"Cannot look at {self.file!r}: {error}. Nothing was changed."
            ) from error
        return os.path.realpath(self.file) if is_link else self.file

    @property
    def directories(self) -> set[str]:
        """The directories in which a rename can change the state."""
        return {os.path.dirname(path) for path in (self.file, self.target)}


def _named(path: Path, workspace: Path) -> Path:
    """Return ``path`` in one spelling, whatever links lead to it; in ``workspace`` relative."""
    real, home = Path(os.path.realpath(path.parent), path.name), Path(os.path.realpath(workspace))
    return real.relative_to(home) if real.is_relative_to(home) else real


def temporary_names(target: str) -> Iterator[str]:
    """Yield the names for the temporary file beside ``target``, the agreed one first.

    The others are for when it is occupied by something that cannot be removed.
    """
    stem = os.path.splitext(target)[0]
    yield f"{stem}.tmp"
    yield from (f"{stem}.{number}.tmp" for number in range(1, 10))


def _git_directory(workspace: Path) -> Path | None:
    """Return the git directory of ``workspace``: see gitrepository-layout(5)."""
    dot_git = workspace / ".git"
    if dot_git.is_dir():
        return dot_git
    if dot_git.is_file():
        return _linked(dot_git)
    bare = (workspace / "HEAD").is_file() and all(
        (workspace / part).is_dir() for part in ("objects", "refs")
    )
    return workspace if bare else None


def _linked(dot_git: Path) -> Path | None:
    prefix, _, named = os.fsdecode(dot_git.read_bytes()).rstrip("\n").partition("gitdir: ")
    home = dot_git.parent / named
    if prefix or not named or not home.is_dir():
        return None
    return Path(os.path.realpath(home))
