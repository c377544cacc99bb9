"""Claims: an exclusive flock(2) on a file per session, and a number that grows with each.

Probing takes a shared lock for a moment, in which a claim would be refused. A claim that is
refused therefore probes itself: a shared lock is denied by another claim alone, so that being
denied is the answer, and being granted means trying again.

The lock belongs to the file, not to its name. Should somebody delete the file of a claim in
force, this process goes on refusing the session, and :meth:`Claims.mend` locks a new file. If
another process was faster, the claim is lost.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from spinney.errors import ClaimHeldError, StoreError
from spinney.logs import log
from spinney.ports import Holder
from spinney_json import _files, _locks

_TRIES = 50
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
            held = Held(session_id, path, fd, _next_fence(fd))
        except TimeoutError as error:
            raise ClaimHeldError(session_id, certain=False) from error
        except OSError as error:
            if _locks.is_unsupported(error):
                raise ClaimHeldError(session_id, certain=False) from error
            raise StoreError(f"Cannot claim session {session_id}: {error}.") from error
        _in_force[path] = held
        return held

    def release(self, held: Held) -> None:
        """End a claim."""
        with _guard:
            if _in_force.get(held.path) is held:
                del _in_force[held.path]
                _locks.closed(held.fd)

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

        Raises:
            OSError: it cannot be read.
        """
        try:
            fd = _files.open_for_reading(self._path(session_id))
        except FileNotFoundError:
            return None
        try:
            return _locks.as_number(_files.read_note(fd)) or None
        finally:
            _files.close(fd)

    def mend(self) -> None:
        """Lock a new file for each claim of this store whose file was deleted."""
        for held in list(_in_force.values()):
            with _guard:
                if _in_force.get(held.path) is held and held.path == self._path(held.session_id):
                    _mend(held)

    def known(self) -> Iterator[str]:
        """Yield the sessions that were ever claimed."""
        with suppress(FileNotFoundError):
            yield from map(unquote, os.listdir(self._directory))

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


def _mend(held: Held) -> None:
    try:
        if _files.is_at(held.fd, held.path):
            return
        fd = _locked(held.path)
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


def _next_fence(fd: int) -> int:
    # At least the time in microseconds: it grows even over a lost file, and needs no fsync.
    try:
        fence = max(_locks.as_number(_files.read_note(fd)) + 1, time.time_ns() // 1000)
        _files.write_note(fd, b"%d\n" % fence)
    except OSError:
        _locks.closed(fd)
        raise
    return fence
