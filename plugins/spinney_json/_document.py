"""The state file's content, as an immutable value, and how it is written.

Every record keeps the bytes that stand for it, so that a change encodes what it changes and
joins the rest. The layout is fixed: :mod:`spinney_json._reading` cuts verified files by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from spinney.model import Changes, Integrity, Reservation, Snapshot
from spinney_json._entry import (
    DETAILS_MARGIN,
    RECORD_MARGIN,
    UNENCODABLE,
    Entry,
    UnstorableError,
)
from spinney_json._numbers import dumps, encoded, loads, plain, restored

VERSION = "1.0"
"""The agreed version of the file."""
FORMAT = 1
"""The version of our own part of it."""

SESSIONS_OPEN, SESSIONS_CLOSE = b'\n  "sessions": [\n', b"\n  ]"
OURS_OPEN = b'\n  "spinney": {\n'
RECORDS_OPEN, RECORDS_CLOSE = b'\n    "records": {\n', b"\n    }"
SEAL_OPEN, SEAL_CLOSE = b'\n    "checksum": "sha256:', b'"\n  }\n}'
SEAL_SIZE = 64


@dataclass(frozen=True, slots=True)
class Document:
    """Everything in the state file. ``entries`` and ``snapshot`` hold the same sessions."""

    snapshot: Snapshot
    entries: Mapping[str, Entry] = field(default_factory=dict)
    top: Mapping[str, Any] = field(default_factory=dict)
    """Other programs' keys of the file, and ours with ``None``, in the order of the file."""
    ours: Mapping[str, Any] = field(default_factory=dict)
    """Keys of our part that this version does not know."""
    strays: Mapping[str, Any] = field(default_factory=dict)
    """Details of sessions that the file does not hold."""
    reservations: Mapping[str, Any] = field(default_factory=dict)
    """The reservations as trees."""
    seal: str = ""
    """Tells contents apart: a SHA-256 in hexadecimal digits."""
    older: str | None = None
    """The version that it had, if it has to be migrated."""

    def changed(self, changes: Changes) -> Document:
        """Return the document after ``changes``.

        Raises:
            UnstorableError: they cannot be written.
        """
        entries = {key: e for key, e in self.entries.items() if key not in changes.delete}
        for session in changes.put:
            before = self.entries.get(session.id)
            entries[session.id] = Entry.of(session, before.origin if before else None)
        held = self.reservations
        reservations = {key: r for key, r in held.items() if key not in changes.release}
        for reservation in changes.reserve:
            reservations[reservation.id] = _reservation_tree(reservation, held)
        gone = changes.delete | entries.keys()
        return replace(
            self,
            snapshot=replace(changes.apply(self.snapshot), integrity=self.snapshot.integrity),
            entries=entries,
            strays={key: tree for key, tree in self.strays.items() if key not in gone},
            reservations=reservations,
        )

    @classmethod
    def of(cls, snapshot: Snapshot) -> Document:
        """Return a document that holds ``snapshot`` and nothing else.

        Raises:
            UnstorableError: it cannot be written.
        """
        additions = Changes(
            put=tuple(snapshot.sessions.values()), reserve=tuple(snapshot.reservations.values())
        )
        document = cls(Snapshot()).changed(additions)
        return replace(document, snapshot=replace(snapshot, integrity=Integrity.VERIFIED))

    def incremented(self) -> Document:
        """Return the document with the next revision."""
        revision = self.snapshot.revision + 1
        return replace(self, snapshot=replace(self.snapshot, revision=revision))

    def sealed(self) -> tuple[Document, bytes]:
        """Return the bytes of the file, and the document as it will be read from them."""
        order = (
            dict(self.top) if "version" in self.top else {"version": 0, "sessions": 0, **self.top}
        )
        members = [
            self._sessions() if key == "sessions" else _member(key, tree, "  ")
            for key, tree in (order | {"version": VERSION}).items()
            if key != "spinney"
        ]
        body = b"".join((b"{\n", b",\n".join(members), b",", OURS_OPEN, self._ours(), SEAL_OPEN))
        checksum = hashlib.sha256(body)
        checksum.update(SEAL_CLOSE)
        seal = checksum.hexdigest()
        snapshot = replace(self.snapshot, integrity=Integrity.VERIFIED)
        sealed = replace(self, snapshot=snapshot, seal=seal, older=None)
        return sealed, b"".join((body, seal.encode(), SEAL_CLOSE))

    def _sessions(self) -> bytes:
        if not self.entries:
            return b'  "sessions": []'
        margin = RECORD_MARGIN.encode()
        records = (b",\n" + margin).join([entry.record for entry in self.entries.values()])
        return b"".join((SESSIONS_OPEN[1:], margin, records, SESSIONS_CLOSE))

    def _ours(self) -> bytes:
        verbatim = [key for key, entry in self.entries.items() if entry.verbatim]
        trees: dict[str, Any] = {"format": FORMAT, "revision": self.snapshot.revision}
        trees |= {"verbatim": verbatim} if verbatim else {}
        trees |= {"reservations": self.reservations} | dict(self.ours)
        lines = [_member(key, tree, "    ") for key, tree in trees.items()]
        return b"".join(line + b",\n" for line in lines) + self._records() + b","

    def _records(self) -> bytes:
        margin = DETAILS_MARGIN.encode()
        lines = [
            b'%b"%b": %b' % (margin, key.encode(), entry.details)
            for key, entry in self.entries.items()
            if entry.details
        ]
        lines += [_member(key, tree, DETAILS_MARGIN) for key, tree in self.strays.items()]
        if not lines:
            return b'    "records": {}'
        return RECORDS_OPEN[1:] + b",\n".join(lines) + RECORDS_CLOSE


def _member(key: str, tree: Any, margin: str) -> bytes:
    return encoded(f"{margin}{dumps(key)}: {dumps(tree, margin)}")


def _reservation_tree(reservation: Reservation, held: Mapping[str, Any]) -> Any:
    try:
        tree = reservation.model_dump(mode="json", by_alias=True, warnings="error")
        tree |= reservation.model_extra or {}
        tree = restored(tree, held.get(reservation.id, {}))
        Reservation.model_validate(plain(loads(encoded(dumps(tree)).decode())))
    except UNENCODABLE as error:
        raise UnstorableError(reservation.id, str(error)) from error
    return tree


EMPTY = Document(Snapshot(MappingProxyType({}), MappingProxyType({}), 0, Integrity.MISSING), top={})
"""What is stored where there is no file."""
