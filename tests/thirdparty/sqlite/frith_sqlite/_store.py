"""The database: one row for each session and reservation, one for the revision."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Event

from anyio.to_thread import run_sync

from frith.errors import CorruptStoreError, StoreBusyError, StoreError
from frith.model import Details, Integrity, Reservation, Session, SessionId, Snapshot
from frith.ports import Claim, Committed, Holder, SessionStore, Transaction
from frith_sqlite._claims import Claims, locked

SCHEMA = """
CREATE TABLE IF NOT EXISTS revision (number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, record TEXT, details TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservation (id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS host (number INTEGER PRIMARY KEY, host TEXT, id TEXT);
"""


class _BeingRepairedError(StoreBusyError):
    """The damaged file has just been replaced by another process."""


class SqliteStore(SessionStore):
    """Opens the database anew for each operation, in a thread: it waits for locks."""

    def __init__(self, directory: Path, busy_timeout: float) -> None:
        _make(directory)
        self._name = f"sqlite:{directory.name}"
        self._path = directory / "sessions.db"
        self._lock = directory / "replace.lock"
        self._busy_timeout = busy_timeout
        self._claims = Claims(directory / "claims")

    @property
    def identity(self) -> str:
        """See :attr:`frith.ports.SessionStore.identity`."""
        return self._name

    async def load(self) -> Snapshot:
        """See :meth:`frith.ports.SessionStore.load`."""
        return await run_sync(self._load)

    async def transact(self, fn: Transaction) -> Committed:
        """See :meth:`frith.ports.SessionStore.transact`."""
        given_up = Event()
        try:
            return await run_sync(self._transact, fn, given_up, abandon_on_cancel=True)
        finally:
            given_up.set()

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """See :meth:`frith.ports.SessionStore.replace_corrupt`."""
        return await run_sync(self._replace_corrupt, token, snapshot)

    @asynccontextmanager
    async def claim(self, session_id: SessionId) -> AsyncIterator[Claim]:
        """See :meth:`frith.ports.SessionStore.claim`."""
        with self._claims.held(session_id) as claim:
            yield claim

    async def holder(self, session_id: SessionId) -> Holder:
        """See :meth:`frith.ports.SessionStore.holder`."""
        return self._claims.holder(session_id)

    @contextmanager
    def _database(
        self, begin: str = "BEGIN IMMEDIATE", path: Path | None = None
    ) -> Iterator[sqlite3.Connection]:
        inode = self._inode()
        try:
            database = sqlite3.connect(
                path or self._path,
                timeout=self._busy_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        try:
            database.execute("PRAGMA synchronous = EXTRA")
            database.executescript(SCHEMA)
            database.execute(begin)
            yield database
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StoreBusyError(f"{self._path} is locked by another process.") from error
            raise StoreError(f"{self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise self._corrupt(error, inode) from error
        finally:
            database.close()

    def _corrupt(self, error: Exception, inode: int | None) -> StoreError:
        token = self._token()
        if self._inode() != inode:  # the token may be the repaired file's
            return _BeingRepairedError(f"{self._path} is being repaired by another process.")
        return CorruptStoreError(str(self._path), str(error), token)

    def _inode(self) -> int | None:
        try:
            return self._path.stat().st_ino
        except FileNotFoundError:
            return None

    def _token(self) -> str:
        return sha256(self._path.read_bytes()).hexdigest()

    def _load(self) -> Snapshot:
        try:
            return self._found()
        except _BeingRepairedError:
            with locked(self._lock):  # whoever repairs it has finished
                return self._found()

    def _found(self) -> Snapshot:
        if not self._path.exists():
            return Snapshot(integrity=Integrity.MISSING)
        with self._database("BEGIN") as database:
            return _read(database)

    def _transact(self, fn: Transaction, given_up: Event) -> Committed:
        with self._database() as database:
            if given_up.is_set():
                raise StoreError("Nobody waits for this transaction any more.")
            found = _read(database)
            changes = fn(replace(found, fences=self._claims.fences()))
            if changes:
                _write(database, changes.apply(found))
            database.execute("COMMIT")
        return Committed.of(found, changes)

    def _replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        with locked(self._lock):
            if self._path.exists() and self._token() == token:
                repaired = self._path.with_suffix(".repaired")
                repaired.unlink(missing_ok=True)
                with self._database(path=repaired) as database:
                    _write(database, snapshot, snapshot.revision + 1)
                    database.execute("COMMIT")
                aside = self._path.with_suffix(f".{token[:12]}.corrupt")
                aside.unlink(missing_ok=True)
                aside.hardlink_to(self._path)
                repaired.replace(self._path)  # at no moment is there none, or half of one
        newest = self._load()
        return Committed(newest, newest.revision)


def _make(directory: Path) -> None:
    ignore = directory / ".gitignore"
    try:
        directory.mkdir(exist_ok=True)
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise StoreError(f"Cannot keep a database in {directory}: {error}") from error


def _read(database: sqlite3.Connection) -> Snapshot:
    (revision,) = database.execute("SELECT coalesce(max(number), 0) FROM revision").fetchone()
    sessions = [
        Session.model_validate_json(record).evolve(details=Details.model_validate_json(details))
        for record, details in database.execute("SELECT record, details FROM session")
    ]
    reservations = [
        Reservation.model_validate_json(record)
        for (record,) in database.execute("SELECT record FROM reservation")
    ]
    return Snapshot(
        {session.id: session for session in sessions},
        {reservation.id: reservation for reservation in reservations},
        revision,
        Integrity.VERIFIED if revision else Integrity.MISSING,
        dict(database.execute("SELECT host, id FROM host ORDER BY number")),
    )


def _write(database: sqlite3.Connection, state: Snapshot, revision: int | None = None) -> None:
    for table in ("revision", "session", "reservation", "host"):
        database.execute(f"DELETE FROM {table}")
    database.executemany("INSERT INTO host (host, id) VALUES (?, ?)", list(state.commits.items()))
    database.execute("INSERT INTO revision VALUES (?)", (revision or state.revision,))
    database.executemany(
        "INSERT INTO session VALUES (?, ?, ?)",
        [
            (s.id, json.dumps(s.to_record()), s.details.model_dump_json(by_alias=True))
            for s in state.sessions.values()
        ],
    )
    database.executemany(
        "INSERT INTO reservation VALUES (?, ?)",
        [(r.id, r.model_dump_json(by_alias=True)) for r in state.reservations.values()],
    )
