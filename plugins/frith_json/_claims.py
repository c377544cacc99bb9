"""Claims: an exclusive flock(2) on a file per session, and a number that grows with each.

Probing takes a shared lock for a moment, in which a claim would be refused. A claim that is
refused therefore probes itself: a shared lock is denied by another claim alone, so that being
denied is the answer, and being granted means trying again.

The lock belongs to the file, not to its name. Should somebody delete the file of a claim in
force, this process goes on refusing the session, and :meth:`Claims.mend` locks a new file. If
another process was faster, the claim is lost.

The file of a session that is removed is removed with it, by whoever can exclude that a claim is in
force: its holder, or a prober to whom a shared lock was granted. All others look, once they have
locked a file, whether it still is at its path. The number must not start anew with the next file,
since a session may come back, for example from its marker: one more file keeps the highest number
of all that were removed. Its lock is held while one is removed, so no two remove files at once,
the second of them a new one.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import quote, unquote

from frith.errors import ClaimHeldError, StoreError
from frith.logs import log
from frith.ports import Holder
from frith_json import _files, _locks

_TRIES = 50
_NEWEST = ".newest"
"""Name of the file with the highest fence of those removed; no session's, for it has a dot."""
_MOST_TIDIED = 1000
"""Files that are removed at once, at most."""
_PAUSE = 0.002
"""Seconds, at most and times the number of the try, until a claim that met a probe tries again."""


@dataclass(slots=True)
class Held:
    """A claim in force."""

    session_id: str
    path: str
    fd: int
    fence: int
    lost: Callable[[], object] = field(default=lambda: None)
    """Called, in any thread, when another process is found to hold the claim."""


_in_force: dict[str, Held] = {}
"""The claims that this process holds, by path, whichever store took them."""
_guard = threading.Lock()
"""Held while a claim is replaced or released."""


def _forget_in_child() -> None:
    global _guard
    _guard = threading.Lock()
    _in_force.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class Fences(Mapping[str, int]):
    """The fence of the newest claim on each session, looked up when asked for."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    def __getitem__(self, session_id: str) -> int:
        fence = None
        with suppress(OSError):  # then our own lock is all that is known
            fence = self._claims.fence(session_id)
        if fence is None:
            raise KeyError(session_id)
        return fence

    def __iter__(self) -> Iterator[str]:
        return self._claims.known()

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Claims:
    """The claims on the sessions of one store. No method waits for another claim's end."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def take(self, session_id: str) -> Held:
        """Claim ``session_id``.

        Raises:
            ClaimHeldError: it is claimed, or that cannot be excluded.
            StoreError: the file of the claim cannot be used.
        """
        path = self._path(session_id)
        if path in _in_force:
            raise ClaimHeldError(session_id)
        try:
            fd = _locked(path)
            if fd is None:
                raise ClaimHeldError(session_id)
            held = Held(session_id, path, fd, self._next_fence(fd))
        except TimeoutError as error:
            raise ClaimHeldError(session_id, certain=False) from error
        except OSError as error:
            if _locks.is_unsupported(error):
                raise ClaimHeldError(session_id, certain=False) from error
            raise StoreError(f"Cannot claim session {session_id}: {error}.") from error
        _in_force[path] = held
        return held

    def release(self, held: Held, *, is_over: bool = False) -> None:
        """End a claim; of a session that ``is_over`` the file is removed. Waits for nothing."""
        with _guard:
            if _in_force.get(held.path) is held:
                del _in_force[held.path]
                if is_over:
                    self._remove(held.path, held.fd, held.fence)
                _locks.closed(held.fd)

    def tidy(self, is_over: Callable[[str], bool]) -> None:
        """Remove the files of sessions that are over and were not released, after a crash."""
        left: list[str] = []
        with suppress(OSError):
            left = list(islice(filter(is_over, self.known()), _MOST_TIDIED))
        for session_id in left:
            path = self._path(session_id)
            with suppress(OSError):
                fd = _files.open_for_reading(path)
                try:
                    # Shared, as a probe: whoever claims the session meanwhile tries again.
                    if _locks.try_lock(fd, shared=True):
                        self._remove(path, fd, _locks.as_number(_files.read_note(fd)))
                finally:
                    _locks.unlock_and_close(fd)

    def holder(self, session_id: str) -> Holder:
        """Tell whether ``session_id`` is claimed."""
        path = self._path(session_id)
        if path in _in_force:
            return Holder.HELD
        try:
            for _ in range(_TRIES):
                fd = _files.open_for_reading(path)
                try:
                    if not _locks.try_lock(fd, shared=True):
                        return Holder.HELD
                    if _files.is_at(fd, path):
                        return Holder.FREE
                finally:
                    _locks.unlock_and_close(fd)
        except FileNotFoundError:
            return Holder.FREE
        except OSError:
            pass
        return Holder.UNKNOWN

    def fence(self, session_id: str) -> int | None:
        """Return the fence of the newest claim on ``session_id``, ``None`` if there was none.

        If its file was removed, it is at least as high.

        Raises:
            OSError: it cannot be read.
        """
        return _noted(self._path(session_id)) or self._newest_removed() or None

    def mend(self) -> None:
        """Lock a new file for each claim of this store whose file was deleted."""
        for held in list(_in_force.values()):
            with _guard:
                if _in_force.get(held.path) is held and held.path == self._path(held.session_id):
                    self._mend(held)

    def known(self) -> Iterator[str]:
        """Yield the sessions that were claimed and are not known to be over."""
        with suppress(FileNotFoundError):
            yield from (unquote(name) for name in os.listdir(self._directory) if "." not in name)

    def _mend(self, held: Held) -> None:
        try:
            if _files.is_at(held.fd, held.path):
                return
            fd = _locked(held.path)
            if fd is not None and self._last_fence(fd) > held.fence:
                # Another process has claimed it, and released it again or removed its file.
                _locks.closed(fd)
                fd = None
            if fd is None:
                del _in_force[held.path]
                _locks.closed(held.fd)
                held.lost()
                return
            held.fd, old = fd, held.fd
            _locks.closed(old)
            _files.write_note(fd, b"%d\n" % held.fence)
        except OSError as error:
            log.warning("claim_not_mended", session_id=held.session_id, reason=str(error))

    def _next_fence(self, fd: int) -> int:
        # At least the time in microseconds: it grows even over a lost file, and needs no fsync.
        try:
            fence = max(self._last_fence(fd) + 1, time.time_ns() // 1000)
            _files.write_note(fd, b"%d\n" % fence)
        except OSError:
            _locks.closed(fd)
            raise
        return fence

    def _last_fence(self, fd: int) -> int:
        return max(_locks.as_number(_files.read_note(fd)), self._newest_removed())

    def _newest_removed(self) -> int:
        return _noted(f"{self._directory}/{_NEWEST}")

    def _remove(self, path: str, fd: int, fence: int) -> None:
        """Remove the locked file ``fd`` of a claim, which stays if that cannot be done now."""
        with suppress(OSError):
            newest = _files.open_lock(f"{self._directory}/{_NEWEST}")
            try:
                if _locks.try_lock(newest) and _files.is_at(fd, path):
                    if fence > _locks.as_number(_files.read_note(newest)):
                        _files.write_note(newest, f"{fence:020d}\n".encode())
                    _files.unlink(path)
            finally:
                _locks.unlock_and_close(newest)

    def _path(self, session_id: str) -> str:
        return f"{self._directory}/{quote(session_id, safe='').replace('.', '%2E')}"


def _locked(path: str) -> int | None:
    """Return a descriptor of ``path``, locked; ``None`` if another claim has it.

    Raises:
        TimeoutError: probes came so densely that it could not be told.
        OSError: the file or its lock cannot be used.
    """
    for number in range(_TRIES):
        fd = _locks.opened(path)
        locked = False
        try:
            if _locks.try_lock(fd):
                locked = _files.is_at(fd, path)
            elif not _locks.try_lock(fd, shared=True):
                return None
        finally:
            if not locked:
                _locks.closed(fd)
        if locked:
            return fd
        # Longer and longer: a prober may lose its processor while it probes.
        time.sleep(random.uniform(0, _PAUSE * number))  # noqa: S311 - spreads, hides nothing
    raise TimeoutError(f"{path} is probed all the time")


def _noted(path: str) -> int:
    """Return the number in the file at ``path``, 0 if there is none."""
    try:
        fd = _files.open_for_reading(path)
    except FileNotFoundError:
        return 0
    try:
        return _locks.as_number(_files.read_note(fd))
    finally:
        _files.close(fd)
