"""The database: one row for each session and each reservation, and the revision."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Event

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from frith.errors import (
    CommitOutcomeUnknownError,
    CorruptStoreError,
    StoreBusyError,
    StoreError,
)
from frith.model import Details, Integrity, Reservation, Session, SessionId, Snapshot
from frith.ports import Claim, Committed, Holder, SessionStore, Transaction
from frith_sqlite._claims import Claims, as_store_error, locked

SCHEMA = """
CREATE TABLE IF NOT EXISTS revision (number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, record TEXT, details TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservation (id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS host (number INTEGER PRIMARY KEY, host TEXT, last_commit TEXT);
"""


class SqliteStore(SessionStore):
    """A store that opens its database for each operation, in a thread, because it may wait."""

    def __init__(self, directory: Path, busy_timeout: float, limiter: CapacityLimiter) -> None:
        _make(directory)
        self._identity = f"sqlite:{directory.name}"
        self._path = directory / "sessions.db"
        self._repair_lock = directory / "repair.lock"
        self._busy_timeout = busy_timeout
        self._limiter = limiter
        self._claims = Claims(directory / "claims")

    @property
    def identity(self) -> str:
        """Kind and directory of the store."""
        return self._identity

    async def load(self) -> Snapshot:
        """See :meth:`frith.ports.SessionStore.load`, as for the other methods."""
        return await run_sync(self._load, limiter=self._limiter)

    async def transact(self, fn: Transaction) -> Committed:
        cancelled = Event()
        try:
            # The thread cannot be interrupted while it waits for the lock: it is abandoned.
            return await run_sync(
                self._transact, fn, cancelled, abandon_on_cancel=True, limiter=self._limiter
            )
        finally:
            cancelled.set()

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        return await run_sync(self._replace_corrupt, token, snapshot, limiter=self._limiter)

    @asynccontextmanager
    async def claim(self, session_id: SessionId) -> AsyncIterator[Claim]:
        with self._claims.held(session_id) as claim:
            yield claim

    async def holder(self, session_id: SessionId) -> Holder:
        return self._claims.holder(session_id)

    def _load(self) -> Snapshot:
        with locked(self._repair_lock, shared=True):
            if not _exists(self._path):
                return Snapshot(integrity=Integrity.MISSING)
            with self._transaction(self._path, "BEGIN") as database:
                return _read(database)

    def _transact(self, fn: Transaction, cancelled: Event) -> Committed:
        with (
            locked(self._repair_lock, shared=True),
            self._transaction(self._path, "BEGIN IMMEDIATE") as database,
        ):
            if cancelled.is_set():
                raise StoreError("The caller of this transaction was cancelled.")
            found = _read(database)
            changes = fn(replace(found, fences=self._claims.fences()))
            if changes:
                _write(database, changes.apply(found))
            _commit(database, self._path)
        return Committed.of(found, changes)

    def _replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        with as_store_error(self._path), locked(self._repair_lock):
            if _exists(self._path) and _token(self._path) == token:
                repaired = self._path.with_suffix(".repaired")
                repaired.unlink(missing_ok=True)
                with self._transaction(repaired, "BEGIN IMMEDIATE") as database:
                    _write(database, replace(snapshot, revision=snapshot.revision + 1))
                    _commit(database, repaired)
                kept = self._path.with_suffix(f".{token[:12]}.corrupt")
                kept.unlink(missing_ok=True)
                kept.hardlink_to(self._path)
                # SQLite would roll the journal of the corrupt file back into the repaired one.
                self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)
                repaired.replace(self._path)
                _sync(self._path.parent)
        newest = self._load()
        return Committed(newest, newest.revision)

    @contextmanager
    def _transaction(self, path: Path, begin: str) -> Iterator[sqlite3.Connection]:
        """Open the database ``path`` and begin; closing it without COMMIT rolls back."""
        database = None
        try:
            database = sqlite3.connect(path, timeout=self._busy_timeout, isolation_level=None)
            # FULL may lose a commit in a power cut: it does not sync the directory of the journal.
            database.execute("PRAGMA synchronous = EXTRA")
            database.executescript(SCHEMA)
            database.execute(begin)
            yield database
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StoreBusyError(f"Another process has locked {path}.") from error
            raise StoreError(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            # SQLite calls the database malformed if read(2) fails, so it is read again.
            if _is_readable(path):
                raise StoreError(f"{path}: {error}") from error
            raise CorruptStoreError(str(path), str(error), _token(path)) from error
        finally:
            if database is not None:
                database.close()


def _make(directory: Path) -> None:
    ignore = directory / ".gitignore"
    with as_store_error(directory):
        directory.mkdir(mode=0o700, exist_ok=True)
        if not ignore.exists():
            ignore.write_text("*\n")


def _exists(path: Path) -> bool:
    """Tell whether ``path`` exists; Path.exists() is false, too, if that cannot be told."""
    with as_store_error(path):
        try:
            path.stat()
        except FileNotFoundError:
            return False
        return True


def _sync(directory: Path) -> None:
    """Make the names in ``directory`` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _token(path: Path) -> str:
    """Return what stands for the content of ``path``."""
    with as_store_error(path):
        return sha256(path.read_bytes()).hexdigest()


def _read(database: sqlite3.Connection) -> Snapshot:
    (revision,) = database.execute("SELECT coalesce(max(number), 0) FROM revision").fetchone()
    try:
        sessions = [
            Session.model_validate_json(record).evolve(details=Details.model_validate_json(details))
            for record, details in database.execute("SELECT record, details FROM session")
        ]
        reservations = [
            Reservation.model_validate_json(record)
            for (record,) in database.execute("SELECT record FROM reservation")
        ]
    except ValueError as error:
        raise sqlite3.DatabaseError(f"a row is not valid: {error}") from error
    return Snapshot(
        sessions={session.id: session for session in sessions},
        reservations={reservation.id: reservation for reservation in reservations},
        revision=revision,
        integrity=Integrity.VERIFIED if revision else Integrity.MISSING,
        commits=dict(database.execute("SELECT host, last_commit FROM host ORDER BY number")),
    )


def _commit(database: sqlite3.Connection, path: Path) -> None:
    try:
        database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise
        # It may have failed before or after the journal was deleted, which is what commits.
        raise CommitOutcomeUnknownError(f"{path}: {error}") from error


def _is_readable(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as database:
            _read(database)
    except sqlite3.OperationalError:  # locked, or the disk fails
        return True
    except sqlite3.DatabaseError:
        return False
    return True


def _write(database: sqlite3.Connection, state: Snapshot) -> None:
    for table in ("revision", "session", "reservation", "host"):
        database.execute(f"DELETE FROM {table}")
    database.execute("INSERT INTO revision VALUES (?)", (state.revision,))
    # The details are not part of the record, which is what other programs read.
    database.executemany(
        "INSERT INTO session VALUES (?, ?, ?)",
        [
            (session.id, json.dumps(session.to_record()), _json(session.details))
            for session in state.sessions.values()
        ],
    )
    database.executemany(
        "INSERT INTO reservation VALUES (?, ?)",
        [(reservation.id, _json(reservation)) for reservation in state.reservations.values()],
    )
    database.executemany(
        "INSERT INTO host (host, last_commit) VALUES (?, ?)", list(state.commits.items())
    )


def _json(model: Details | Reservation) -> str:
    return model.model_dump_json(by_alias=True)
