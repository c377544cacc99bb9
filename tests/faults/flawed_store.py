"""A plain store in one file, correct or with the flaw that its options name.

It can only load and commit. Each flaw is one that real stores had.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from anyio.to_thread import run_sync

from frith.config import Options
from frith.errors import StoreError
from frith.model import Integrity, Session, Snapshot
from frith.ports import Claim, Committed, Holder, SessionStore, Transaction
from frith.providers import ProviderContext, ProviderSpec, Role

T = TypeVar("T")


class FlawedOptions(Options):
    flaw: str = ""


class FlawedStore(SessionStore):
    def __init__(self, directory: Path, flaw: str) -> None:
        self._file = directory / "state.json"
        self._lock = directory / "state.lock"
        self._flaw = flaw
        self._newest: Snapshot | None = None

    @property
    def identity(self) -> str:
        return "flawed"

    async def load(self) -> Snapshot:
        return await self._do(self._read)

    async def transact(self, fn: Transaction) -> Committed:
        return await self._do(lambda: self._commit(fn))

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        raise NotImplementedError

    def claim(self, session_id: str) -> AbstractAsyncContextManager[Claim]:
        raise NotImplementedError

    async def holder(self, session_id: str) -> Holder:
        raise NotImplementedError

    async def _do(self, work: Callable[[], T]) -> T:
        return await run_sync(work, abandon_on_cancel=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if self._flaw != "no lock":
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            if self._flaw == "leaks a descriptor":
                fcntl.flock(fd, fcntl.LOCK_UN)
            else:
                os.close(fd)

    def _read(self) -> Snapshot:
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return Snapshot(integrity=Integrity.MISSING)
        except OSError as error:
            if self._flaw == "takes unreadable for empty":
                return Snapshot(integrity=Integrity.MISSING)
            if self._flaw == "deletes what it cannot read":
                self._file.unlink()
            raise StoreError(f"Cannot read {self._file}: {error}") from error
        stored = json.loads(data)
        sessions = map(Session.model_validate, stored["sessions"])
        return Snapshot({session.id: session for session in sessions}, {}, stored["revision"])

    def _commit(self, fn: Transaction) -> Committed:
        try:
            with self._locked():
                found = self._read()
                if self._flaw == "does not read again under the lock" and self._newest:
                    found = self._newest
                changes = fn(found)
                self._newest = changes.apply(found)
                if self._flaw == "leaks a thread":
                    threading.Thread(target=threading.Event().wait, daemon=True).start()
                if changes:
                    self._write(self._newest)
        except OSError as error:
            if self._flaw == "raises what the system raises":
                raise
            raise StoreError(f"Cannot write {self._file}: {error}") from error
        return Committed(self._newest, self._newest.revision)

    def _write(self, state: Snapshot) -> None:
        sessions = [session.to_record() for session in state.sessions.values()]
        data = json.dumps({"revision": state.revision, "sessions": sessions}).encode()
        if self._flaw == "writes in place":
            with self._file.open("wb") as file:
                file.write(data[: len(data) // 2])
                file.flush()
                self._sync(file.fileno())
                file.write(data[len(data) // 2 :])
        elif self._flaw == "acknowledges before it writes" and self._file.exists():
            threading.Timer(0.1, self._replace, [data]).start()
        else:
            self._replace(data)

    def _replace(self, data: bytes) -> None:
        # A name for each thread, so that a store without lock loses updates and no more.
        temporary = self._file.with_suffix(f".{threading.get_native_id()}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                self._sync(file.fileno())
            temporary.rename(self._file)
        except OSError:
            with suppress(OSError):
                if self._flaw == "leaves its temporary file":
                    temporary.rename(f"{temporary}-{time.time_ns()}")
                temporary.unlink()
            raise
        directory = os.open(self._file.parent, os.O_RDONLY)
        try:
            self._sync(directory)
        finally:
            os.close(directory)

    def _sync(self, fd: int) -> None:
        if self._flaw != "no fsync":
            os.fsync(fd)


@asynccontextmanager
async def open_flawed(
    options: FlawedOptions, context: ProviderContext
) -> AsyncIterator[SessionStore]:
    yield FlawedStore(context.workspace, options.flaw)


SPEC = ProviderSpec(Role.STORE, "flawed", open_flawed, FlawedOptions)
