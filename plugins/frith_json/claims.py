"""Claims: an exclusive flock(2) on a file per session, and a fence that grows with each.

A probe takes a shared lock for a moment, in which a claim would be refused. A claim that is refused
therefore probes itself: only another claim denies a shared lock. If that is granted, it goes on.

The lock belongs to the file, not to its name. If the file of a claim in force is deleted, this
process continues to refuse the session, and :meth:`Claims.renew` locks a new file. If another
process was faster, the claim is lost.

The file of a removed session is removed by a process that can exclude that a claim is in force: its
holder, or a prober to which a shared lock was granted. The session may come back, for example from
its marker, and its fence must not start anew: the file ``.newest`` keeps the highest fence of all
files that were removed. Its lock is held while one is removed: of two processes that
remove the same file at once, the second could remove a file that was created in between.
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
from frith_json.content import number_at, read_number, write_number
from frith_os.locks import FileLock, describe_holders, holders, is_at, is_unsupported

_TRIES = 50
_NEWEST = ".newest"
"""The file with the highest fence of those removed; not a session's, because of the dot."""
_MOST_TIDIED = 1000
"""Files that are removed at once, at most."""
_PAUSE = 0.002
"""Seconds, at most and times the number of the try, until a claim that met a probe tries again."""


@dataclass(slots=True)
class HeldClaim:
    """A claim in force."""

    session_id: str
    lock: FileLock
    fence: int
    lost: Callable[[], object] = field(default=lambda: None)
    """Called, in any thread, when another process is found to hold the claim."""


_in_force: dict[str, HeldClaim] = {}
"""The claims that this process holds, by path, whichever store took them."""
_guard = threading.Lock()
"""Held while a claim is replaced or released."""


def _forget_in_child() -> None:
    global _guard
    _guard = threading.Lock()
    _in_force.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class Claims(Mapping[str, int]):
    """The claims on the sessions of one store. No method waits for another claim's end.

    As a mapping it has the fence of the newest claim on each session, looked up when asked for. If
    the file of a claim was removed, the fence is at least as high.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._newest = f"{directory}/{_NEWEST}"

    def __getitem__(self, session_id: str) -> int:
        fence = 0
        with suppress(OSError):  # then our own lock is all that is known
            fence = number_at(self._path(session_id)) or number_at(self._newest)
        if not fence:
            raise KeyError(session_id)
        return fence

    def __iter__(self) -> Iterator[str]:
        """Yield the sessions that were claimed and are not known to be over."""
        with suppress(FileNotFoundError):
            yield from (unquote(name) for name in os.listdir(self._directory) if "." not in name)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def take(self, session_id: str) -> HeldClaim:
        """Claim ``session_id``.

        Raises:
            ClaimHeldError: it is claimed, or that cannot be excluded.
            StoreError: the file of the claim cannot be used.
        """
        path = self._path(session_id)
        if path in _in_force:
            raise ClaimHeldError(session_id)
        try:
            lock = _locked(path)
            if lock is None:
                raise ClaimHeldError(session_id)
            claim = HeldClaim(session_id, lock, self._next_fence(lock))
        except TimeoutError as error:
            raise ClaimHeldError(session_id, certain=False) from error
        except OSError as error:
            if is_unsupported(error):
                raise ClaimHeldError(session_id, certain=False) from error
            raise StoreError(f"Cannot claim session {session_id}: {error}.") from error
        _in_force[path] = claim
        return claim

    def release(self, claim: HeldClaim, *, is_over: bool = False) -> None:
        """End a claim; of a session that ``is_over`` the file is removed. Waits for nothing."""
        path = claim.lock.path
        with _guard:
            if _in_force.get(path) is claim:
                del _in_force[path]
                if is_over:
                    self._remove(claim.lock, claim.fence)
                _give_back(claim.lock)

    def tidy(self, is_over: Callable[[str], bool]) -> None:
        """Remove the files of sessions that are over and were not released, after a crash."""
        left: list[str] = []
        with suppress(OSError):
            left = list(islice(filter(is_over, self), _MOST_TIDIED))
        for session_id in left:
            lock = FileLock(self._path(session_id), create=False)
            with suppress(OSError):
                # Shared, as a probe: a claim that is refused meanwhile is tried again.
                if lock.try_acquire(shared=True):
                    self._remove(lock, read_number(lock.fd))
            _give_back(lock)

    def holder(self, session_id: str) -> Holder:
        """Tell whether ``session_id`` is claimed."""
        path = self._path(session_id)
        if path in _in_force:
            return Holder.HELD
        lock = FileLock(path, create=False)
        try:
            return Holder.FREE if lock.try_acquire(shared=True) else Holder.HELD
        except FileNotFoundError:
            return Holder.FREE
        except OSError:
            return Holder.UNKNOWN
        finally:
            _give_back(lock)

    def holder_info(self, session_id: str) -> str:
        """Describe the process that holds the claim on ``session_id``; empty if none is known."""
        path = self._path(session_id)
        return describe_holders(path) if holders(path) else ""

    def renew(self) -> None:
        """Lock a new file for each claim of this store whose file was deleted."""
        for claim in list(_in_force.values()):
            path = claim.lock.path
            with _guard:
                if _in_force.get(path) is claim and path == self._path(claim.session_id):
                    self._renew(claim)

    def _renew(self, claim: HeldClaim) -> None:
        path = claim.lock.path
        lock: FileLock | None = None
        try:
            if is_at(claim.lock.fd, path):
                return
            lock = _locked(path)
            if lock is not None and self._last_fence(lock) > claim.fence:
                # Another process has claimed it, and released it again or removed its file.
                _give_back(lock)
                lock = None
            if lock is None:
                del _in_force[path]
                _give_back(claim.lock)
                claim.lost()
                return
            write_number(lock.fd, claim.fence)
            claim.lock, old = lock, claim.lock
            _give_back(old)
        except OSError as error:
            if lock is not None:
                _give_back(lock)  # otherwise the next attempt would meet it as another claim
            log.warning("claim_not_renewed", session_id=claim.session_id, reason=str(error))

    def _next_fence(self, lock: FileLock) -> int:
        # At least the time in microseconds: it grows even over a lost file, and needs no fsync.
        try:
            fence = max(self._last_fence(lock) + 1, time.time_ns() // 1000)
            write_number(lock.fd, fence)
        except OSError:
            _give_back(lock)
            raise
        return fence

    def _last_fence(self, lock: FileLock) -> int:
        return max(read_number(lock.fd), number_at(self._newest))

    def _remove(self, lock: FileLock, fence: int) -> None:
        """Remove the locked file of a claim, which stays if that cannot be done now."""
        newest = FileLock(self._newest)
        with suppress(OSError):
            if newest.try_acquire() and is_at(lock.fd, lock.path):
                if fence > read_number(newest.fd):
                    write_number(newest.fd, fence)
                os.unlink(lock.path)
        _give_back(newest)

    def _path(self, session_id: str) -> str:
        return f"{self._directory}/{quote(session_id, safe='').replace('.', '%2E')}"


def _locked(path: str) -> FileLock | None:
    """Return an exclusive lock on ``path``; ``None`` if another claim has it.

    Raises:
        TimeoutError: probes came so densely that it could not be told.
        OSError: the file or its lock cannot be used.
    """
    for number in range(_TRIES):
        lock = FileLock(path)
        is_locked = False
        try:
            is_locked = lock.try_acquire()
            if not is_locked and not lock.try_acquire(shared=True):
                return None
        finally:
            if not is_locked:
                _give_back(lock)
        if is_locked:
            return lock
        # Longer and longer: a prober may lose its processor while it probes.
        time.sleep(random.uniform(0, _PAUSE * number))  # noqa: S311 - spreads, hides nothing
    raise TimeoutError(f"{path} is probed all the time")


def _give_back(lock: FileLock) -> None:
    """Unlock ``lock``, even if a child between fork(2) and exec(3) shares it, and close it."""
    if lock.fd >= 0:
        lock.release()
        lock.close()
