"""Reading, committing and replacing the state file, under its lock. All methods block."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from frith.errors import CorruptStoreError, StoreError
from frith.logs import log
from frith.model import Changes, Integrity, Snapshot
from frith.ports import Committed, Transaction
from frith_json.content import (
    ATTEMPTS,
    MAX_SIZE,
    Content,
    Identity,
    OvertakenError,
    identity_at,
    number_at,
    read_content,
    replace_content,
    restless,
    unreadable,
    write_number,
)
from frith_json.integrity import DamagedError, read
from frith_json.mounts import UnsharedLocksError
from frith_json.options import JsonOptions
from frith_json.places import Places
from frith_json.salvage import keep, prune, salvage
from frith_json.text import EMPTY, VERSION, Document
from frith_os.locks import FileLock, is_unsupported


@dataclass(frozen=True, slots=True)
class Known:
    """Document read or written last, and the identity of its file, ``None`` if it is missing."""

    document: Document
    identity: Identity | None
    generation: int
    """How often another program had changed the content by then."""


class StateFile:
    """One state file. :meth:`current` in any thread, the rest in the one that writes."""

    def __init__(self, places: Places) -> None:
        self.generation = 0
        """How often the content was found changed by another program."""
        self.lock = FileLock(places.lock)
        """Held by writers."""
        self._places = places
        self._known: Known | None = None
        self._seal = ""
        """The seal of the document written last."""
        self._guard = threading.Lock()

    def current(self) -> Known:
        """Return what is stored now; an unchanged file is not read again.

        Raises:
            CorruptStoreError, StoreVersionError, StoreError: as ``SessionStore.load``.
        """
        while True:
            known = self._known
            if known is not None and identity_at(self._places.file) == known.identity:
                return known
            document, identity = self._read(known.document if known else EMPTY)
            with self._guard:
                if self._known is known:  # otherwise a commit came in between, and is newer
                    before = known.document.seal if known else self._seal or document.seal
                    self.generation += document.seal not in (before, self._seal)
                    self._known = Known(document, identity, self.generation)
                    return self._known

    def lacks(self, session_id: str) -> bool:
        """Tell whether what was read or written last has neither the session nor a reservation."""
        if (known := self._known) is None:
            return False
        snapshot = known.document.snapshot
        return session_id not in snapshot.sessions and session_id not in snapshot.reservations

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude all other writers; wait for the lock, however long.

        Raises:
            StoreError: the file cannot be locked.
        """
        try:
            self.lock.acquire()
        except OSError as error:
            self.lock.close()  # it may be locked already, and the look at its path have failed
            if is_unsupported(error):
                where = os.path.dirname(self._places.lock)
                raise UnsharedLocksError(where, "its file system has no locks") from error
            why = f"Cannot lock {self._places.lock!r}: {error}."
            if isinstance(error, PermissionError):
                why += " Another user created it: change its owner to that of the workspace."
            raise StoreError(why) from error
        try:
            yield
        finally:
            self.lock.release()

    def commit(self, fn: Transaction) -> Committed:
        """Apply ``fn`` to what is stored now and write the outcome; only while locked.

        Raises:
            CorruptStoreError, StoreVersionError, StoreError, CommitOutcomeUnknownError: as
                ``SessionStore.transact``.
        """
        for _ in range(ATTEMPTS):
            found = self.current()
            snapshot = found.document.snapshot
            changes = fn(snapshot)
            if not changes:
                return Committed(snapshot, snapshot.revision)
            with suppress(OvertakenError):
                document = self._numbered(found.document).changed(changes)
                why = "corrupt" if snapshot.integrity is Integrity.MISMATCH else None
                if found.document.older is not None:
                    why = f"before-{VERSION}"
                after = self._write(document, found.identity, why)
                return Committed(replace(after, integrity=snapshot.integrity), after.revision)
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

    def _read(self, previous: Document) -> tuple[Document, Identity | None]:
        for _ in range(ATTEMPTS):
            noted = self._noted()  # first: a writer notes its revision after the file is there
            content = self._content()
            if content is None:
                return EMPTY, None
            try:
                document = read(content.data, self._places.file, previous)
            except DamagedError as error:
                if identity_at(self._places.file) != content.identity:
                    continue  # read while another program was writing it in place
                if not self._may_be_ours(content.data):
                    raise unreadable(self._places.file, "it is not a state file") from error
                raise self._corrupt(content, str(error)) from error
            document = self._numbered(document)
            found = document.snapshot
            if found.integrity is Integrity.MISMATCH:
                log.warning("state_file_mismatch", path=self._places.file)
            elif found.integrity is Integrity.FOREIGN and found.revision:
                log.warning("state_file_foreign", path=self._places.file)
            elif found.revision < noted:
                why = f"an earlier copy: revision {found.revision} of {noted}"
                raise self._corrupt(content, why, document)
            return document, content.identity
        raise restless(self._places.file)

    def _corrupt(
        self, content: Content, why: str, earlier: Document | None = None
    ) -> CorruptStoreError:
        sessions = tuple(earlier.snapshot.sessions.values()) if earlier else ()
        found = () if earlier else salvage(content.data).sessions
        return CorruptStoreError(self._places.file, why, content.token, found, sessions)

    def _may_be_ours(self, data: bytes) -> bool:
        """Tell whether what cannot be read may be put aside as a damaged state file.

        A setting, or a link in a repository, may name any file: one that was never a state file
        belongs to another program.
        """
        default = JsonOptions.model_fields["file"].default
        is_default = os.path.basename(self._places.file) == default
        return (
            (is_default and self._places.file == self._places.target)
            or self._noted() > 0
            or b'"sessions"' in data
            or not data.strip(b"\0 \r\n\t")
        )

    def _numbered(self, document: Document) -> Document:
        """Return ``document``, unless verified, with a revision no lower than any ever written."""
        found = document.snapshot
        if found.integrity is Integrity.VERIFIED:
            return document
        revision = max(found.revision, self._noted())
        return replace(document, snapshot=replace(found, revision=revision))

    def _rebuild(self, token: str, snapshot: Snapshot) -> Snapshot:
        """Write ``snapshot`` in the place of the corrupt content that ``token`` stands for."""
        content = self._content()
        if content is None or content.token != token:
            raise OvertakenError
        base = EMPTY
        with suppress(DamagedError):  # an earlier copy is whole
            base = read(content.data, self._places.file)
        newest = max(base.snapshot.revision, snapshot.revision, self._noted())
        document = _rebuilt(base, snapshot, newest + 1)
        return self._write(document, content.identity, "corrupt")

    def _write(self, document: Document, expected: Identity | None, why: str | None) -> Snapshot:
        """Replace the ``expected`` file, which is kept aside first if there is a reason ``why``."""
        try:
            sealed, content = document.sealed()
        except RecursionError as error:
            raise StoreError(
                f"The data of other programs in {self._places.file!r} is nested too deeply to be "
                "written; nothing was changed."
            ) from error
        if sum(map(len, content)) > MAX_SIZE:
            raise StoreError(
                f"{self._places.file!r} would become larger than {MAX_SIZE >> 20} MiB; nothing "
                "was changed. Keep large data in files, and their paths in metadata."
            )
        if why is not None:
            expected = self._keep(expected, why)
        self._seal = sealed.seal
        identity = replace_content(self._places.target, content, expected)
        self._note(sealed.snapshot.revision)
        with self._guard:
            self._known = Known(sealed, identity, self.generation) if identity else None
        if why is not None:
            prune(self._places.target, sealed.snapshot.sessions.keys())
        return sealed.snapshot

    def _note(self, revision: int) -> None:
        try:
            write_number(self.lock.fd, revision)
        except OSError as error:  # the state is durable; only the hint to it is not
            log.warning("revision_not_noted", path=self._places.lock, reason=str(error))

    def _noted(self) -> int:
        """Return the highest revision ever written, 0 if none is known; never waits."""
        with suppress(OSError):
            return number_at(self._places.lock)
        return 0

    def _keep(self, expected: Identity | None, why: str) -> Identity:
        """Keep the ``expected`` file aside; return its identity, which a new link changes."""
        content, target = self._content(), self._places.target
        if content is None or content.identity != expected:
            raise OvertakenError
        try:
            path = keep(target, content.data, why)
        except OSError as error:
            raise StoreError(
                f"Cannot keep a copy of {target!r} aside: {error}. It was not replaced."
            ) from error
        log.warning("state_file_kept_aside", path=self._places.file, kept=path)
        identity = identity_at(self._places.file)
        if identity is None or identity[:-1] != content.identity[:-1]:
            raise OvertakenError
        return identity

    def _content(self) -> Content | None:
        content = read_content(self._places.file)
        directory = os.path.dirname(self._places.target)
        if content is None and not os.path.isdir(directory):
            raise unreadable(self._places.file, f"{directory!r} is not a directory")
        return content


def _rebuilt(base: Document, snapshot: Snapshot, revision: int) -> Document:
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
    return replace(document, snapshot=replace(document.snapshot, revision=revision))
