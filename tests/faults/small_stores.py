"""A small correct store, and flawed ones that each lack one thing that it does."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from frith.config import Options
from frith.errors import ClaimHeldError, CommitOutcomeUnknownError, CorruptStoreError, StoreError
from frith.model import Details, Integrity, Session, SessionId, Snapshot
from frith.ports import Claim, Committed, Holder, SessionStore, Transaction
from frith.providers import Capability, ProviderContext, ProviderSpec, Role
from frith_testing.harness.opening import Opening


class SmallStore(SessionStore):
    """One file with a checksum, a line feed and JSON. It blocks the event loop."""

    def __init__(self, workspace: Path) -> None:
        self.file = workspace / "sessions"
        self.temporary = workspace / "sessions.tmp"
        self.lock = workspace / "lock"

    @property
    def identity(self) -> str:
        return "small"

    async def load(self) -> Snapshot:
        with typed():
            return self.parsed(self.read())

    async def transact(self, fn: Transaction) -> Committed:
        with typed(), locked(self.lock):
            found = self.parsed(self.read())
            changes = fn(found)
            if changes:
                self.write(encoded(changes.apply(found)))
        return Committed.of(found, changes)

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        with typed(), locked(self.lock):
            content = self.read() or b""
            if sha256(content).hexdigest() == token:
                self.put_aside(content)
                self.write(encoded(snapshot))
            newest = self.parsed(self.read())
        return Committed(newest, newest.revision)

    @asynccontextmanager
    async def claim(self, session_id: SessionId) -> AsyncIterator[Claim]:
        with self.claimed(session_id):
            yield Claim(session_id, time.time_ns())

    async def holder(self, session_id: SessionId) -> Holder:
        try:
            with self.claimed(session_id):
                return Holder.FREE
        except ClaimHeldError:
            return Holder.HELD

    @contextmanager
    def claimed(self, session_id: SessionId) -> Iterator[None]:
        with typed():
            fd = os.open(self.file.with_name(f"{session_id}.claim"), os.O_RDWR | os.O_CREAT)
        try:
            with typed():
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ClaimHeldError(session_id) from None
            yield
        finally:
            with suppress(OSError):
                os.close(fd)

    def read(self) -> bytes | None:
        try:
            fd = os.open(self.file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            content = b""
            while block := os.read(fd, 1 << 20):
                content += block
            return content
        finally:
            os.close(fd)

    def parsed(self, content: bytes | None) -> Snapshot:
        if content is None:
            return Snapshot(integrity=Integrity.MISSING)
        checksum, _, rest = content.partition(b"\n")
        if checksum != sha256(rest).hexdigest().encode():
            token = sha256(content).hexdigest()
            raise CorruptStoreError(str(self.file), "its checksum is wrong", token)
        return decoded(rest)

    def put_aside(self, content: bytes) -> None:
        aside = self.file.with_name(f"corrupt-{sha256(content).hexdigest()}")
        with suppress(FileExistsError):
            os.link(self.file, aside)
        self.sync_directory()

    def write(self, content: bytes) -> None:
        self.fill(self.temporary, content)
        os.rename(self.temporary, self.file)
        try:
            self.sync_directory()
        except OSError as error:
            raise CommitOutcomeUnknownError("it may not survive a power cut") from error

    def fill(self, path: Path, content: bytes, flags: int = os.O_CREAT | os.O_TRUNC) -> None:
        fd = os.open(path, os.O_WRONLY | flags, 0o600)
        try:
            self.write_all(fd, content)
            self.sync(fd)
        finally:
            os.close(fd)

    def write_all(self, fd: int, content: bytes) -> None:
        while content:
            content = content[os.write(fd, content) :]

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def sync_directory(self) -> None:
        fd = os.open(self.file.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            with suppress(OSError):
                os.close(fd)


class NoFsync(SmallStore):
    def sync(self, fd: int) -> None:
        pass


class NoDirectoryFsync(SmallStore):
    def sync_directory(self) -> None:
        pass


class InPlace(SmallStore):
    def write(self, content: bytes) -> None:
        self.fill(self.file, content)


class ExclusiveTemporary(SmallStore):
    """A fixed name, opened exclusively, so that a stale file blocks every later write."""

    def fill(self, path: Path, content: bytes, flags: int = os.O_CREAT | os.O_EXCL) -> None:
        super().fill(path, content, flags)


class PilesUpTemporaries(SmallStore):
    """A new name each time; the file is not removed when a write fails."""

    def write(self, content: bytes) -> None:
        self.temporary = self.file.with_name(f"{time.time_ns()}.tmp")
        super().write(content)


class TakesFailureForMissing(SmallStore):
    def read(self) -> bytes | None:
        try:
            return super().read()
        except OSError:
            return None


class AcknowledgesBefore(SmallStore):
    """Acknowledges a commit before it is written."""

    owed: bytes | None = None

    def write(self, content: bytes) -> None:
        self.owed = content

    def read(self) -> bytes | None:
        return self.owed or super().read()

    def close(self) -> None:
        if self.owed is not None:
            with suppress(OSError):
                super().write(self.owed)


class WritesOnce(SmallStore):
    """Calls write(2) once, although it may write less."""

    def write_all(self, fd: int, content: bytes) -> None:
        os.write(fd, content)


class ClaimsByFile(SmallStore):
    """A claim is the existence of a file, which outlives its process."""

    @contextmanager
    def claimed(self, session_id: SessionId) -> Iterator[None]:
        path = self.file.with_name(f"{session_id}.claim")
        with typed():
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                raise ClaimHeldError(session_id) from None
        try:
            yield
        finally:
            path.unlink()


class DropsCorrupt(SmallStore):
    def put_aside(self, content: bytes) -> None:
        pass


class NoChecksum(SmallStore):
    def parsed(self, content: bytes | None) -> Snapshot:
        if content is None:
            return Snapshot(integrity=Integrity.MISSING)
        try:
            return decoded(content.partition(b"\n")[2])
        except ValueError as error:
            token = sha256(content).hexdigest()
            raise CorruptStoreError(str(self.file), str(error), token) from error


class Hangs(SmallStore):
    """Retries a failed write without end."""

    def read(self) -> bytes | None:
        while True:
            try:
                return super().read()
            except OSError:
                threading.Event().wait()


def opening(store: type[SmallStore], workspace: Path) -> Opening:
    """Return what opens a store of this kind."""
    capabilities = frozenset({Capability.FILE_BACKED, Capability.CHECKSUMMED, Capability.REPAIR})
    factory = functools.partial(opened, store)
    return Opening(
        ProviderSpec(Role.STORE, "small", factory, Options, capabilities), Options(), workspace
    )


@asynccontextmanager
async def opened(
    store: type[SmallStore], _options: Options, context: ProviderContext
) -> AsyncIterator[SmallStore]:
    made = store(context.workspace)
    yield made
    if isinstance(made, AcknowledgesBefore):
        made.close()


@contextmanager
def typed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(str(error)) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):
            os.close(fd)


def encoded(state: Snapshot) -> bytes:
    sessions = [
        {"record": s.to_record(), "details": s.details.model_dump(mode="json", by_alias=True)}
        for s in state.sessions.values()
    ]
    tree = {"revision": state.revision, "sessions": sessions, "commits": dict(state.commits)}
    rest = json.dumps(tree).encode()
    return sha256(rest).hexdigest().encode() + b"\n" + rest


def decoded(rest: bytes) -> Snapshot:
    try:
        tree = json.loads(rest)
        sessions = [
            Session.model_validate(s["record"]).evolve(details=Details.model_validate(s["details"]))
            for s in tree["sessions"]
        ]
        by_id = {s.id: s for s in sessions}
        return Snapshot(by_id, {}, tree["revision"], Integrity.VERIFIED, tree["commits"])
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from error
