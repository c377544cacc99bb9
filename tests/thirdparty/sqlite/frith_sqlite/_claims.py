"""Claims: one file for each session, which its owner locks with flock(2). It holds the fence.

The kernel releases the lock when the owner dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from frith.errors import ClaimHeldError, StoreError
from frith.ports import Claim, Holder


@contextmanager
def as_store_error(path: Path) -> Iterator[None]:
    """Raise an error of the system as the port requires."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock on the file ``path``, after waiting for it."""
    with _opened(path) as file:
        with as_store_error(path):
            fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


class Claims:
    """The claims whose files are in ``directory``."""

    def __init__(self, directory: Path) -> None:
        with as_store_error(directory):
            directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._lock = directory / "lock"

    @contextmanager
    def held(self, session_id: str) -> Iterator[Claim]:
        """Hold the claim on a session.

        Raises:
            ClaimHeldError: another claim on it is held.
        """
        path = self._directory / session_id
        with _opened(path) as file:
            # holder() locks the file for a moment, which must not count as a claim.
            with locked(self._lock), as_store_error(path):
                if not _try_lock(file):
                    raise ClaimHeldError(session_id)
            with as_store_error(path):
                fence = _fence(file) + 1
                file.seek(0)
                file.write(b"%020d" % fence)
                file.flush()
            yield Claim(session_id, fence)

    def holder(self, session_id: str) -> Holder:
        """Tell whether the claim on a session is held."""
        path = self._directory / session_id
        with locked(self._lock), _opened(path) as file, as_store_error(path):
            return Holder.FREE if _try_lock(file) else Holder.HELD

    def fences(self) -> dict[str, int]:
        """Return the fence of the newest claim on each session."""
        fences = {}
        with as_store_error(self._directory):
            for path in self._directory.iterdir():
                if path != self._lock:
                    with _opened(path) as file:
                        fences[path.name] = _fence(file)
        return {session_id: fence for session_id, fence in fences.items() if fence}


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with as_store_error(path):
        # os.open() makes it close-on-exec: a child that inherited it would hold the lock.
        file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")  # noqa: SIM115
    try:
        yield file
    finally:
        with suppress(OSError):  # everything is written, and the descriptor is closed anyway
            file.close()


def _fence(file: BinaryIO) -> int:
    return int(file.read() or 0)


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
