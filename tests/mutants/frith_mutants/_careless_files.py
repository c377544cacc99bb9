"""Replacements for parts of the store ``json``: each takes the original part."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

Part = Callable[..., Any]

_TRIES = 20
"""How often a lock that is held is tried, every 10 ms."""


def does_nothing(_: Part) -> Part:
    return lambda *_: None


def syncs_directories_only(sync: Part) -> Part:
    def careless(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            sync(fd)

    return careless


def forgives(sync: Part) -> Part:
    def careless(fd: int) -> None:
        with suppress(OSError):
            sync(fd)

    return careless


def writes_over(_: Part) -> Part:
    def careless(source: str, target: str, *_: Any) -> None:
        with open(source, "rb") as file, open(target, "wb") as over:
            over.write(file.read())
            over.flush()
            os.fsync(over.fileno())
        os.unlink(source)

    return careless


def keeps_it_open(sync_directory: Part) -> Part:
    def careless(path: str, *words: Any) -> None:
        sync_directory(path, *words)
        os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    return careless


def takes_failure_for_absence(open_for_reading: Part) -> Part:
    def careless(path: str) -> int:
        try:
            return open_for_reading(path)
        except OSError as error:
            raise FileNotFoundError(path) from error

    return careless


def insists_on_one_name(_: Part) -> Part:
    def careless(names: Sequence[str], *_: Any) -> tuple[int, str]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(names[0], flags, 0o600), names[0]

    return careless


def takes_a_name_of_its_own(_: Part) -> Part:
    return lambda names, *_: tempfile.mkstemp(suffix=".tmp", dir=os.path.dirname(names[0]))


def opens_only(acquire: Part) -> Part:
    def careless(self: Any) -> None:
        if self.fd < 0:
            acquire(self)
            fcntl.flock(self.fd, fcntl.LOCK_UN)

    return careless


def locks_by_existence(acquire: Part) -> Part:
    def careless(self: Any) -> None:
        acquire(self)
        for _ in range(_TRIES):
            try:
                os.close(os.open(f"{self.path}.held", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
            except FileExistsError:
                time.sleep(0.01)
            else:
                return
        raise BlockingIOError(errno.EAGAIN, "the lock is held")

    return careless


def unlocks_by_absence(release: Part) -> Part:
    def careless(self: Any) -> None:
        with suppress(FileNotFoundError):  # a claim, which is not locked so
            os.unlink(f"{self.path}.held")
        release(self)

    return careless


def believes(_: Part) -> Part:
    return lambda seal, found: True


def works_at_once(_: Part) -> Part:
    def careless(self: Any, task: Callable[[], None]) -> None:
        task()

    return careless


def passes_it_on(opened: Part) -> Part:
    def careless(self: Any) -> int:
        os.set_inheritable(fd := opened(self), True)
        return fd

    return careless


def undoes_nothing(run: Part) -> Part:
    def careless(self: Any, work: Any, *, undo: object = None, **options: Any) -> Any:
        return run(self, work, **options)

    return careless
