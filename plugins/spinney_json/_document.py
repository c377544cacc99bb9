"""The state file's content, as an immutable value, and how it is written.

Every record keeps the bytes that stand for it, so that a change encodes what it changes and
joins the rest. The layout is fixed: :mod:`spinney_json._reading` cuts verified files by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticSerializationError

from spinney.errors import StoreError
from spinney.model import Changes, Details, Integrity, Reservation, Session, Snapshot
from spinney_json._numbers import dumps, encoded, has_lone_surrogate, loads, plain, restored

VERSION = "1.0"
"""The agreed version of the file."""
FORMAT = 1
"""The version of our own part of it."""

RECORD_MARGIN = "    "
DETAILS_MARGIN = "      "
SESSIONS_OPEN, SESSIONS_CLOSE = b'\n  "sessions": [\n', b"\n  ]"
OURS_OPEN = b'\n  "spinney": {\n'
RECORDS_OPEN, RECORDS_CLOSE = b'\n    "records": {\n', b"\n    }"
SEAL_OPEN, SEAL_CLOSE = b'\n    "checksum": "sha256:', b'"\n  }\n}'
SEAL_SIZE = 64

_OWN: dict[type[BaseModel], frozenset[str]] = {
    Session: frozenset(to_camel(name) for name in Session.model_fields if name != "details"),
    Details: frozenset(to_camel(name) for name in Details.model_fields),
}
"""The fields of the JSON; a model also answers to its Python names, which are others' here."""


class UnstorableError(StoreError):
    """A session or reservation holds something that JSON, or the agreed schema, cannot."""

    code = "STORE_UNSTORABLE"

    def __init__(self, session_id: str, reason: str) -> None:
        super().__init__(
            f"Session {session_id} cannot be stored: {reason}. "
            "Keep to JSON values in metadata, and to the types of the model elsewhere."
        )
        self.session_id = session_id
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Origin:
    """A record and its details as read, where a model alone could not give them back."""

    record: dict[str, Any]
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One session, and the bytes that stand for it."""

    session: Session
    record: bytes
    details: bytes
    """Empty if there are none."""
    origin: Origin | None = None

    @classmethod
    def of(cls, session: Session, origin: Origin | None = None) -> Entry:
        """Encode ``session``.

        Raises:
            UnstorableError: what would be written could not be read again.
        """
        before = origin or Origin({}, {})
        try:
            record = restored(_record_of(session), before.record)
            record |= _unheld(before.record, Session)
            details = restored(_details_of(session.details), before.details)
            details |= _unheld(before.details, Details)
            written = encoded(dumps(record, RECORD_MARGIN))
            written_details = encoded(dumps(details, DETAILS_MARGIN)) if details else b""
            read_session(loads(written.decode()), loads(written_details.decode() or "{}"))
        except (TypeError, ValueError, RecursionError, PydanticSerializationError) as error:
            raise UnstorableError(session.id, str(error)) from error
        return cls(session, written, written_details, origin)

    @property
    def verbatim(self) -> bool:
        """Whether only the exact parser reads it in full: odd numbers, lone surrogates."""
        return self.origin is not None or b"\\ud" in self.record or b"\\ud" in self.details


def read_session(record: Any, details: Any) -> tuple[Session, Origin | None]:
    """Return the session that two parsed trees stand for, and what it cannot hold of them.

    Raises:
        ValueError: they do not fit the schema.
    """
    if not isinstance(record, dict) or not isinstance(details, dict):
        raise ValueError("a session is not an object")  # noqa: TRY004
    try:
        simple, simple_details = _held(record, Session), _held(details, Details)
    except RecursionError:
        raise ValueError("a session is nested too deeply") from None
    session = Session.model_validate(simple)
    if details:
        session = session.evolve(details=Details.model_validate(simple_details))
    odd = simple is not record or simple_details is not details
    return session, Origin(record, details) if odd else None


def _held(tree: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    unheld = _unheld(tree, model)
    kept = {key: value for key, value in tree.items() if key not in unheld} if unheld else tree
    return cast("dict[str, Any]", plain(kept))


def _unheld(tree: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return those fields of ``tree`` that a ``model`` would take for its own or choke on."""
    own = _OWN[model]
    return {
        key: value
        for key, value in tree.items()
        if key not in own and (key in model.model_fields or has_lone_surrogate({key: value}))
    }


# What is JSON already is taken as it is: pydantic's own dump would turn an infinite number into
# null and a lone surrogate in a key into replacement characters.
def _record_of(session: Session) -> dict[str, Any]:
    """Return what ``session.to_record()`` does, but for that."""
    metadata = {} if session.metadata is None else {"metadata": session.metadata}
    return _known_of(session, "metadata") | metadata | (session.model_extra or {})


def _details_of(details: Details) -> dict[str, Any]:
    ref = {} if details.terminal_ref is None else {"terminalRef": details.terminal_ref}
    return _known_of(details, "terminal_ref") | ref | (details.model_extra or {})


def _known_of(model: BaseModel, json_field: str) -> dict[str, Any]:
    others = model.model_extra or {}
    return model.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        exclude={json_field, *others},
        warnings="error",
    )


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
        body = b"{\n" + b",\n".join(members) + b"," + OURS_OPEN + self._ours() + SEAL_OPEN
        seal = hashlib.sha256(body + SEAL_CLOSE).hexdigest()
        snapshot = replace(self.snapshot, integrity=Integrity.VERIFIED)
        return (
            replace(self, snapshot=snapshot, seal=seal, older=None),
            body + seal.encode() + SEAL_CLOSE,
        )

    def _sessions(self) -> bytes:
        if not self.entries:
            return b'  "sessions": []'
        records = (b",\n" + RECORD_MARGIN.encode()).join(e.record for e in self.entries.values())
        return SESSIONS_OPEN[1:] + RECORD_MARGIN.encode() + records + SESSIONS_CLOSE

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
            b'%s"%s": %s' % (margin, key.encode(), entry.details)
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
    tree = reservation.model_dump(mode="json", by_alias=True) | (reservation.model_extra or {})
    try:
        tree = restored(tree, held.get(reservation.id, {}))
        Reservation.model_validate(plain(loads(encoded(dumps(tree)).decode())))
    except (TypeError, ValueError, RecursionError, PydanticSerializationError) as error:
        raise UnstorableError(reservation.id, str(error)) from error
    return tree


EMPTY = Document(Snapshot(MappingProxyType({}), MappingProxyType({}), 0, Integrity.MISSING), top={})
"""What is stored where there is no file."""
