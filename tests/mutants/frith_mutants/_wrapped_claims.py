"""Stores whose claims do not hold."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import ClassVar

from frith.errors import ClaimHeldError
from frith.ports import Claim, Holder
from frith_mutants._wrapped_stores import Wrapped


class ClaimsByThread(Wrapped):
    """Takes what its process holds for its own, unless the same thread does."""

    threads: ClassVar[dict[tuple[Path, str], int]] = {}

    @asynccontextmanager
    async def claim(self, session_id: str) -> AsyncIterator[Claim]:
        key, me = (self.workspace, session_id), threading.get_ident()
        if self.threads.get(key, me) != me:
            yield Claim(session_id, 1)
            return
        async with self.inner.claim(session_id) as claim:
            self.threads[key] = me
            try:
                yield claim
            finally:
                del self.threads[key]


class ClaimsByRecordLock(Wrapped):
    """Locks by fcntl(2): whoever closes the file unlocks it, in all of the process."""

    held: ClassVar[set[Path]] = set()
    numbers = count(1)

    def _file(self, session_id: str) -> Path:
        return self.workspace / f".claim-{session_id}"

    @asynccontextmanager
    async def claim(self, session_id: str) -> AsyncIterator[Claim]:
        path = self._file(session_id)
        with path.open("a") as file:
            if path in self.held:
                raise ClaimHeldError(session_id)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ClaimHeldError(session_id) from None
            self.held.add(path)
            try:
                yield Claim(session_id, next(self.numbers))
            finally:
                self.held.discard(path)

    async def holder(self, session_id: str) -> Holder:
        if self._file(session_id) in self.held:
            return Holder.HELD
        with self._file(session_id).open("a") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Holder.HELD
        return Holder.FREE
