"""The state file as the threads of a store see it: read, commit, replace. Everything blocks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from frith.errors import CorruptStoreError, StoreError
from frith.logs import log
from frith.model import Changes, Integrity, Snapshot
from frith.ports import Committed, Transaction
from frith_json import _aside, _files
from frith_json._atomic import Stats
from frith_json._atomic import replace as replace_file
from frith_json._content import (
    ATTEMPTS,
    MAX_SIZE,
    Content,
    OvertakenError,
    content_of,
    restless,
    unreadable,
)
from frith_json._document import EMPTY, VERSION, Document, Draft
from frith_json._files import Identity
from frith_json._locks import FileLock, is_unsupported
from frith_json._mounts import UnsharedLocksError
from frith_json._places import Places
from frith_json._reading import DamagedError, read
from frith_json._salvage import salvage
from frith_json._written import Written
from frith_json.options import JsonOptions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known:
    """What was read or written last, and the file that it was; ``None`` if there was none."""

    document: Document
    identity: Identity | None
    generation: int
    """How often somebody else had changed the content by then."""


class _TooLargeError(StoreError):
    """What would be written could not be read again."""


class StateFile:
    """One state file. :meth:`current` in any thread, the rest in the one that writes."""

    def __init__(self, places: Places) -> None:
        self.stats = Stats()
        self.generation = 0
        """How often the content was found changed by somebody else."""
        self._places = places
        self._lock = FileLock(places.lock)
        self._known: Known | None = None
        self._written = Written()
        self._seal = ""
        """That of what was written last."""
        self._guard = threading.Lock()

    def current(self) -> Known:
        """Return what is stored now; an unchanged file is not read again.

        Raises:
            CorruptStoreError, StoreVersionError, StoreError: as ``SessionStore.load``.
        """
        while True:
            known = self._known
            if known is not None and self._identity() == known.identity:
                return known
            document, identity = self._read(known.document if known else EMPTY)
            with self._guard:
                if self._known is known:  # otherwise a commit came in between, and is newer
                    before = known.document.seal if known else self._seal or document.seal
                    self.generation += document.seal not in (before, self._seal)
                    self._known = Known(document, identity, self.generation)
                    return self._known

    def lacks(self, session_id: str) -> bool:
        """Tell whether what was read or written last holds neither the session nor a place for it.

        ``False`` if nothing was.
        """
        if (known := self._known) is None:
            return False
        snapshot = known.document.snapshot
        return session_id not in snapshot.sessions and session_id not in snapshot.reservations

    def locked(self, work: Callable[[], T]) -> T:
        """Do ``work`` while no other process writes, however long it takes to get there.

        Raises:
            StoreError: the lock cannot be had at all.
        """
        try:
            self._lock.acquire()
        except OSError as error:
            if is_unsupported(error):
                where = os.path.dirname(self._places.lock)
                raise UnsharedLocksError(where, "its file system has no locks") from error
            why = f"Cannot lock {self._places.lock!r}: {error}."
            if isinstance(error, PermissionError):
                why += " Another user's frith made it: give it to the owner of the workspace."
            raise StoreError(why) from error
        try:
            return work()
        finally:
            self._lock.release()

    def commit(self, transactions: Sequence[Transaction]) -> list[Committed | BaseException]:
        """Apply ``transactions`` one after the other and write once; only while locked.

        One that raises affects none of the others.

        Raises:
            CorruptStoreError, StoreVersionError, StoreError, CommitOutcomeUnknownError: as
                ``SessionStore.transact``, for all of them.
        """
        for _ in range(ATTEMPTS):
            found = self.current()
            document, outcomes = self._applied(found.document, transactions)
            if document is found.document:
                return outcomes
            try:
                self._replace(found, document)
            except OvertakenError:
                continue
            except _TooLargeError as error:
                return self._alone(transactions) if len(transactions) > 1 else [error]
            return outcomes
        raise restless(self._places.file)

    def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        """As ``SessionStore.replace_corrupt``; only while locked."""
        for _ in range(ATTEMPTS):
            try:
                newest = self.current().document.snapshot
            except CorruptStoreError as error:
                if error.token != token:
                    raise
            else:
                return Committed(newest, newest.revision)
            with suppress(OvertakenError):
                rebuilt = self._rebuild(token, snapshot)
                return Committed(rebuilt, rebuilt.revision)
        raise restless(self._places.file)

    def retire(self) -> None:
        """Open no lock file any more: the store is being closed. From any thread."""
        self._lock.retire()

    def close(self) -> None:
        """Close the lock file."""
        self._lock.close()

    def _alone(self, transactions: Sequence[Transaction]) -> list[Committed | BaseException]:
        """Commit each by itself: one of them is too much."""
        outcomes: list[Committed | BaseException] = []
        for transaction in transactions:
            try:
                outcomes += self.commit([transaction])
            except StoreError as error:
                outcomes.append(error)
        return outcomes

    def _read(self, previous: Document) -> tuple[Document, Identity | None]:
        for _ in range(ATTEMPTS):
            noted = self._lock.noted()  # first: whoever writes notes it after the file is there
            content = self._content()
            if content is None:
                return EMPTY, None
            self.stats.parses += 1
            try:
                document = read(content.data, self._places.file, previous)
            except DamagedError as error:
                if self._identity() != content.identity:
                    continue  # seen while somebody was writing it in place
                if not self._may_be_ours(content.data):
                    raise unreadable(self._places.file, "it is no state file") from error
                raise self._corrupt(content, str(error)) from error
            if _is_earlier(document, noted):
                why = f"an earlier copy: revision {document.snapshot.revision} of {noted}"
                raise self._corrupt(content, why, document)
            return self._judged(document), content.identity
        raise restless(self._places.file)

    def _corrupt(
        self, content: Content, why: str, earlier: Document | None = None
    ) -> CorruptStoreError:
        salvaged = () if earlier else salvage(content.data).sessions
        sessions = tuple(earlier.snapshot.sessions.values()) if earlier else ()
        return CorruptStoreError(self._places.file, why, content.token, salvaged, sessions)

    def _may_be_ours(self, data: bytes) -> bool:
        """Tell whether what cannot be read may be put aside as a damaged state file.

        A setting, or a link in a repository, may name any file: one that was never a state file
        is somebody else's.
        """
        named_by_default = self._places.file == self._places.target and os.path.basename(
            self._places.file
        ) == (JsonOptions.model_fields["file"].default)
        return (
            named_by_default
            or self._lock.noted() > 0
            or b'"sessions"' in data
            or not data.strip(b"\0 \r\n\t")
        )

    def _judged(self, document: Document) -> Document:
        """Report what is not as we left it; our revisions go on from there."""
        integrity = document.snapshot.integrity
        if integrity is Integrity.VERIFIED:
            return document
        judged = self._numbered(document)
        if integrity is Integrity.MISMATCH:
            log.warning("state_file_mismatch", path=self._places.file)
        elif judged.snapshot.revision:
            log.warning("state_file_foreign", path=self._places.file)
        return judged

    def _numbered(self, document: Document, noted: int | None = None) -> Document:
        """Return ``document`` with a revision no lower than any ever written."""
        noted = self._lock.noted() if noted is None else noted
        if document.snapshot.revision >= noted:
            return document
        return replace(document, snapshot=replace(document.snapshot, revision=noted))

    def _applied(
        self, found: Document, transactions: Sequence[Transaction]
    ) -> tuple[Document, list[Committed | BaseException]]:
        draft: Draft | None = None
        outcomes: list[Committed | BaseException] = []
        for transaction in transactions:
            snapshot = draft.snapshot if draft else found.snapshot
            try:
                changes = transaction(snapshot)
                if changes:
                    draft = draft or Draft(self._numbered(found, self._lock.noted_by_now()))
                    draft.apply(changes)
                    snapshot = draft.snapshot
            except BaseException as error:
                outcomes.append(error)
            else:
                outcomes.append(Committed(snapshot, snapshot.revision))
        return draft.document() if draft and draft.is_changed else found, outcomes

    def _replace(self, found: Known, document: Document) -> None:
        """Write ``document`` in the place of what was ``found``."""
        identity = found.identity
        why = _reason_to_keep(found.document)
        if why is not None:
            content = self._content()
            if content is None or content.identity != identity:
                raise OvertakenError
            identity = self._keep(content, why)
        self._write(document, identity)
        if why is not None:
            _aside.prune(self._places.target, document.snapshot.sessions.keys())

    def _rebuild(self, token: str, snapshot: Snapshot) -> Snapshot:
        """Write ``snapshot`` in the place of the corrupt content that ``token`` stands for."""
        content = self._content()
        if content is None or content.token != token:
            raise OvertakenError
        base = EMPTY
        with suppress(DamagedError):  # an earlier copy is whole
            base = read(content.data, self._places.file)
        document = self._numbered(_rebuilt(base, snapshot), self._lock.noted_by_now())
        stored = self._write(document.incremented(), self._keep(content, "corrupt")).snapshot
        _aside.prune(self._places.target, stored.sessions.keys())
        return stored

    def _write(self, document: Document, expected: Identity | None) -> Document:
        try:
            sealed, content = document.sealed_after(self._written)
        except RecursionError as error:
            raise StoreError(
                f"What other programs keep in {self._places.file!r} is nested too deeply to be "
                "written again; nothing was changed."
            ) from error
        if sum(map(len, content)) > MAX_SIZE:
            raise _TooLargeError(
                f"{self._places.file!r} would become larger than {MAX_SIZE >> 20} MiB; nothing "
                "was changed. Keep large data in files, and their paths in metadata."
            )
        self._seal = sealed.seal
        identity = replace_file(self._places.target, content, expected, self.stats)
        self._note(sealed.snapshot.revision)
        with self._guard:
            known = Known(sealed, identity, self.generation)
            self._known = known if identity else None
        return sealed

    def _note(self, revision: int) -> None:
        try:
            self._lock.note(revision)
        except OSError as error:  # the state is durable; only the hint to it is not
            log.warning("revision_not_noted", path=self._places.lock, reason=str(error))

    def _keep(self, content: Content, why: str) -> Identity:
        """Keep ``content`` aside; return the identity of the file, which a new link changes."""
        target = self._places.target
        try:
            kept = _aside.keep(target, content.data, why)
        except OSError as error:
            raise StoreError(
                f"Cannot keep a copy of {target!r} aside: {error}. It was not replaced."
            ) from error
        log.warning("state_file_kept_aside", path=self._places.file, kept=kept)
        identity = self._identity()
        if (
            identity is None
            or identity._replace(changed=content.identity.changed) != content.identity
        ):
            raise OvertakenError
        return identity

    def _identity(self) -> Identity | None:
        try:
            return _files.identity_of(_files.status(self._places.file))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(self._places.file, error.strerror or str(error)) from error

    def _content(self) -> Content | None:
        content = content_of(self._places.file)
        directory = os.path.dirname(self._places.target)
        if content is None and not os.path.isdir(directory):
            raise unreadable(self._places.file, f"{directory!r} is no directory")
        return content


def _is_earlier(document: Document, noted: int) -> bool:
    """Tell whether somebody has put back a state after which another was written."""
    found = document.snapshot
    return found.integrity is Integrity.VERIFIED and found.revision < noted


def _rebuilt(base: Document, snapshot: Snapshot) -> Document:
    """Return a document of ``snapshot``, with what other programs keep in ``base``.

    Raises:
        UnstorableError: it cannot be written.
    """
    there = base.snapshot
    document = base.changed(
        Changes(
            put=tuple(snapshot.sessions.values()),
            delete=frozenset(there.sessions.keys() - snapshot.sessions.keys()),
            reserve=tuple(snapshot.reservations.values()),
            release=frozenset(there.reservations.keys() - snapshot.reservations.keys()),
        )
    )
    revision = max(there.revision, snapshot.revision)
    rebuilt = replace(document.snapshot, revision=revision, integrity=Integrity.VERIFIED)
    return replace(document, snapshot=rebuilt)


def _reason_to_keep(found: Document) -> str | None:
    """Return why the file that ``found`` was read from must be kept when it is replaced."""
    if found.older is not None:
        return f"before-{VERSION}"
    return "corrupt" if found.snapshot.integrity is Integrity.MISMATCH else None
