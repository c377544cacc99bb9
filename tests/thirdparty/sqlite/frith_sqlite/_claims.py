"""Claims: a file for each session, locked by its owner; the kernel unlocks it at death."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frith.errors import ClaimHeldError
from frith.ports import Claim, Holder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on ``path``; wait for it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Claims:
    """The claims that lie in ``directory``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory

    @contextmanager
    def held(self, session_id: str) -> Iterator[Claim]:
        """Hold the claim on a session.

        Raises:
            ClaimHeldError: it is held already.
        """
        with (self._directory / session_id).open("a+") as file:
            # A look at the holder takes the lock for a moment: it must not get in the way.
            with locked(self._directory / "lock"):
                if not _lock(file.fileno()):
                    raise ClaimHeldError(session_id)
            file.seek(0)
            fence = int(file.read() or 0) + 1
            file.truncate(0)
            file.write(str(fence))
            file.flush()
            yield Claim(session_id, fence)

    def fences(self) -> dict[str, int]:
        """Return the fence of the newest claim on each session."""
        files = (file for file in self._directory.iterdir() if file.name != "lock")
        return {file.name: int(file.read_text() or 0) for file in files}

    def holder(self, session_id: str) -> Holder:
        """Tell whether the claim on a session is held."""
        path = self._directory / session_id
        if not path.exists():
            return Holder.FREE
        with locked(self._directory / "lock"), path.open() as file:
            return Holder.FREE if _lock(file.fileno()) else Holder.HELD


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
