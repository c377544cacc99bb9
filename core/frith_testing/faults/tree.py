"""A directory tree in memory, read from the disk and written back to it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias


class Kind(StrEnum):
    """The type of an entry."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "symbolic link"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or symbolic link."""

    kind: Kind
    content: bytes = b""
    """Of a file; the target of a symbolic link."""
    mode: int = 0
    """Permission bits; 0 for a symbolic link."""


Tree: TypeAlias = Mapping[str, Entry]
"""Entries by their path relative to the root, a directory before its content. Hard links are
separate files."""


def captured(root: Path) -> Tree:
    """Return the tree beneath ``root``.

    Raises:
        OSError: an entry cannot be read.
        ValueError: an entry is neither file, directory nor symbolic link.
    """
    return {path: _entry(root, path) for path in _paths(root)}


def restore(root: Path, tree: Tree) -> None:
    """Make the tree beneath ``root`` equal to ``tree``; equal entries are not touched."""
    there = dict.fromkeys(_paths(root))
    for path in reversed(there):
        if path not in tree:
            _remove(root / path)
    for path, wanted in tree.items():
        if path in there:
            if _entry(root, path) == wanted:
                continue
            if not wanted.kind == Kind.DIRECTORY == _entry(root, path).kind:
                _remove(root / path)
        _put(root / path, wanted)


def inodes(root: Path) -> dict[int, str]:
    """Return the paths beneath ``root``, itself included, by inode number."""
    paths = ["", *_paths(root)]
    return {os.lstat(root / path).st_ino: path for path in reversed(paths)}


def changed(before: Tree, after: Tree) -> dict[str, bytes]:
    """Return the contents of the files that are new or different in ``after``, largest first."""
    files = {
        path: entry.content
        for path, entry in after.items()
        if entry.kind is Kind.FILE and entry != before.get(path)
    }
    return dict(sorted(files.items(), key=lambda file: -len(file[1])))


def _paths(root: Path, below: str = "") -> Iterator[str]:
    with os.scandir(root / below) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from _paths(root, path)


def _entry(root: Path, path: str) -> Entry:
    place = f"{root}/{path}"
    status = os.lstat(place)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISREG(status.st_mode):
        with open(place, "rb", buffering=0) as file:
            return Entry(Kind.FILE, file.read(), mode)
    if stat.S_ISDIR(status.st_mode):
        return Entry(Kind.DIRECTORY, mode=mode)
    if stat.S_ISLNK(status.st_mode):
        return Entry(Kind.LINK, os.fsencode(os.readlink(place)))
    raise ValueError(f"{place!r} is neither file, directory nor symbolic link")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _put(path: Path, entry: Entry) -> None:
    match entry.kind:
        case Kind.FILE:
            path.write_bytes(entry.content)
        case Kind.DIRECTORY:
            path.mkdir(exist_ok=True)
        case Kind.LINK:
            path.symlink_to(os.fsdecode(entry.content))
            return
    path.chmod(entry.mode)
