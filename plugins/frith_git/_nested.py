"""Repositories inside a working tree: `git status` does not look into them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from frith_git._files import accessing
from frith_git._repository import link_target
from frith_git._status import is_disposable


@dataclass(frozen=True, slots=True)
class Nested:
    """A directory with a ``.git`` of its own."""

    name: bytes
    """Relative to the working tree."""
    path: str
    git_dir: str

    @property
    def is_worktree(self) -> bool:
        """Whether it is a linked worktree of some repository."""
        return os.path.exists(f"{self.git_dir}/commondir")


def nested_repositories(root: str, disposable: Iterable[str]) -> Iterator[Nested]:
    """Yield every repository beneath ``root``, but not inside what is disposable.

    Blocks: reads every directory.

    Raises:
        GitFileError: a directory cannot be read, so that nobody knows what is in it.
    """
    patterns = tuple(disposable)
    start = os.fsencode(root)
    waiting = [start]
    while waiting:
        directory = waiting.pop()
        name = os.path.relpath(directory, start)
        with accessing(os.fsdecode(directory)), os.scandir(directory) as entries:
            for entry in entries:
                if entry.name == b".git":
                    if directory != start:
                        path = os.fsdecode(directory)
                        yield Nested(name, path, link_target(path) or f"{path}/.git")
                elif entry.is_dir(follow_symlinks=False):
                    below = entry.path[len(start) + 1 :]
                    if not is_disposable(below, patterns):
                        waiting.append(entry.path)


def module_directories(admin: str) -> Iterator[tuple[str, str]]:
    """Yield name and git directory of every submodule that a worktree keeps, checked out or not.

    They lie beneath its administrative directory and go with it (gitsubmodules(7)).

    Raises:
        GitFileError: a directory cannot be read.
    """
    waiting = [("", f"{admin}/modules")]
    while waiting:
        name, directory = waiting.pop()
        if os.path.exists(f"{directory}/HEAD"):
            yield name, directory
            waiting.append((name, f"{directory}/modules"))
            continue
        try:
            with os.scandir(directory) as entries:
                found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            continue
        waiting += [(f"{name}/{part}".lstrip("/"), f"{directory}/{part}") for part in found]
