"""Claims: one file for each session, which its owner locks with flock(2).

The kernel releases the lock when the owner dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frith.errors import ClaimHeldError
from frith.ports import Claim, Holder

_DIGITS = 20
"""Size of a claim file, which holds the fence as a decimal number."""


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock on the file ``path``, after waiting for it."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


class Claims:
    """The claims whose files are in ``directory``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._lock = directory / "lock"

    @contextmanager
    def held(self, session_id: str) -> Iterator[Claim]:
        """Hold the claim on a session.

        Raises:
            ClaimHeldError: another claim on it is held.
        """
        with _opened(self._directory / session_id) as descriptor:
            # holder() locks the file for a moment, which must not count as a claim.
            with locked(self._lock):
                if not _try_lock(descriptor):
                    raise ClaimHeldError(session_id)
            fence = _fence(descriptor) + 1
            os.pwrite(descriptor, b"%0*d" % (_DIGITS, fence), 0)
            yield Claim(session_id, fence)

    def holder(self, session_id: str) -> Holder:
        """Tell whether the claim on a session is held."""
        path = self._directory / session_id
        if not path.exists():
            return Holder.FREE
        with locked(self._lock), _opened(path) as descriptor:
            return Holder.FREE if _try_lock(descriptor) else Holder.HELD

    def fences(self) -> dict[str, int]:
        """Return the fence of the newest claim on each session."""
        fences = {}
        for path in self._directory.iterdir():
            if path != self._lock:
                with _opened(path) as descriptor:
                    fences[path.name] = _fence(descriptor)
        return fences


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # os.open makes the descriptor close-on-exec: a child that inherited it would hold the lock.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _fence(descriptor: int) -> int:
    return int(os.pread(descriptor, _DIGITS, 0) or 0)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
