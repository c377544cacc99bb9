"""Replacements for system calls and for parts of the store ``json``: each takes the original."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Part = Callable[..., Any]
Open = Callable[..., int]

_TRIES = 20
"""How often a lock that is held is tried, every 10 ms."""


def does_nothing(_: Part) -> Part:
    return lambda *_: None


def syncs_directories_only(fsync: Part) -> Part:
    def careless(fd: int) -> None:
        if _is_directory(fd):
            fsync(fd)

    return careless


def syncs_files_only(fsync: Part) -> Part:
    def careless(fd: int) -> None:
        if not _is_directory(fd):
            fsync(fd)

    return careless


def forgives(fsync: Part) -> Part:
    def careless(fd: int) -> None:
        with suppress(OSError):
            fsync(fd)

    return careless


def keeps_it_open(fsync: Part) -> Part:
    def careless(fd: int) -> None:
        fsync(fd)
        if _is_directory(fd):
            os.dup(fd)

    return careless


def _is_directory(fd: int) -> bool:
    return stat.S_ISDIR(os.fstat(fd).st_mode)


def writes_over(_: Part) -> Part:
    def careless(
        source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        written = os.open(source, os.O_RDONLY | os.O_CLOEXEC, dir_fd=src_dir_fd)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        over = os.open(target, flags, 0o600, dir_fd=dst_dir_fd)
        with open(written, "rb") as file, open(over, "wb") as into:
            into.write(file.read())
            into.flush()
            os.fsync(into.fileno())
        os.unlink(source, dir_fd=src_dir_fd)

    return careless


def takes_failure_for_absence(open_: Open) -> Open:
    def careless(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        try:
            return open_(path, flags, *arguments, **options)
        except OSError as error:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY):
                raise
            raise FileNotFoundError(path) from error

    return careless


def passes_it_on(open_: Open) -> Open:
    def careless(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        fd = open_(path, flags, *arguments, **options)
        os.set_inheritable(fd, bool(flags & os.O_RDWR))
        return fd

    return careless


def insists_on_one_name(_: Part) -> Part:
    def careless(target: str) -> tuple[int, str]:
        path = f"{os.path.splitext(target)[0]}.tmp"
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path

    return careless


def takes_a_name_of_its_own(_: Part) -> Part:
    return lambda target: tempfile.mkstemp(suffix=".tmp", dir=os.path.dirname(target))


def opens_only(acquire: Part) -> Part:
    def careless(self: Any) -> None:
        if self._fd < 0:
            acquire(self)
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    return careless


def sees_no_change(present: Part) -> Part:
    class Anything:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    return lambda path: Anything()


def locks_by_existence(acquire: Part) -> Part:
    def careless(self: Any) -> None:
        acquire(self)
        for _ in range(_TRIES):
            try:
                os.close(os.open(f"{self._path}.held", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
            except FileExistsError:
                time.sleep(0.01)
            else:
                return
        raise BlockingIOError(errno.EAGAIN, "the lock is held")

    return careless


def unlocks_by_absence(release: Part) -> Part:
    def careless(self: Any) -> None:
        os.unlink(f"{self._path}.held")
        release(self)

    return careless


def believes(verified_seal: Part) -> Part:
    return lambda data: verified_seal(data) or hashlib.sha256(data).hexdigest()


def works_at_once(_: Part) -> Part:
    def careless(self: Any, task: Callable[[], None]) -> None:
        task()

    return careless


def undoes_nothing(run: Part) -> Part:
    def careless(self: Any, *arguments: Any, undo: object = None, **options: Any) -> Any:
        return run(self, *arguments, **options)

    return careless
