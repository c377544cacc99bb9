"""The files of a workspace, read without the provider."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

Files = dict[str, bytes]
"""The content of every regular file beneath a directory, by its relative path."""


def files_of(directory: Path) -> Files:
    """Return the content of every regular file beneath ``directory``."""
    return {
        os.path.relpath(path, directory): path.read_bytes() for path in _regular_files(directory)
    }


def changed(before: Files, after: Files) -> set[str]:
    """Return the files that are new in ``after``, or have other content."""
    return {name for name, content in after.items() if before.get(name) != content}


def copied(workspace: Path, name: str) -> Path:
    """Return a copy of ``workspace``, beside it."""
    return Path(shutil.copytree(workspace, workspace.with_name(name), symlinks=True))


def _regular_files(directory: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path
