"""The state file's content, as an immutable value, and how it is written.

Every record keeps the bytes that stand for it, so that a change encodes what it changes and
joins the rest. The layout is fixed: :mod:`frith_json._cutting` cuts verified files by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from frith.model import Changes, Integrity, Reservation, Session, Snapshot
from frith_json._entry import DETAILS_MARGIN, RECORD_MARGIN, Entry, UnstorableError
from frith_json._numbers import UNENCODABLE, dumps, encoded, loads, plain, restored
from frith_json._written import Lines, Written, in_pieces

VERSION = "1.0"
"""The agreed version of the file."""
FORMAT = 1
"""The version of our own part of it."""

SESSIONS_OPEN, SESSIONS_CLOSE = b'\n  "sessions": [\n', b"\n  ]"
OURS_OPEN = b'\n  "frith": {\n'
RECORDS_OPEN, RECORDS_CLOSE = b'\n    "records": {\n', b"\n    }"
SEAL_OPEN, SEAL_CLOSE = b'\n    "checksum": "sha256:', b'"\n  }\n}'
SEAL_SIZE = 64
_WRITTEN_AT_ONCE = 1 << 16
"""Bytes, at least: so few keep other threads waiting for microseconds."""


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
        draft = Draft(self)
        draft.apply(changes)
        return draft.document()

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
        """Return the document as it will be read again, and the bytes of the file."""
        document, pieces = self.sealed_after(Written())
        return document, b"".join(pieces)

    def sealed_after(self, written: Written) -> tuple[Document, list[bytes]]:
        """As :meth:`sealed`, the file in pieces, and sooner after one like it was ``written``."""
        body = in_pieces(self._parts(written))
        seal = written.checksum.of([*body, SEAL_CLOSE])
        snapshot = replace(self.snapshot, integrity=Integrity.VERIFIED)
        sealed = replace(self, snapshot=snapshot, seal=seal, older=None)
        return sealed, in_pieces([*body, seal.encode(), SEAL_CLOSE], _WRITTEN_AT_ONCE)

    def _parts(self, written: Written) -> Iterator[bytes]:
        records = [entry.record for entry in self.entries.values()]
        top = self.top if "version" in self.top else {"version": 0, "sessions": 0, **self.top}
        separator = b"{\n"
        for key, tree in top.items():
            if key == "frith":
                continue
            yield separator
            separator = b",\n"
            if key == "sessions":
                opening, closing = b'  "sessions": [', b"  ]"
                yield from _listed(opening, records, RECORD_MARGIN, closing, written.records)
            else:
                yield _member(key, VERSION if key == "version" else tree, "  ")
        yield b"," + OURS_OPEN
        trees: dict[str, Any] = {"format": FORMAT, "revision": self.snapshot.revision}
        verbatim = [key for key, entry in self.entries.items() if entry.verbatim]
        if verbatim:
            trees["verbatim"] = verbatim
        if commits := self.snapshot.commits:
            trees["commits"] = dict(commits)
        trees |= {"reservations": self.reservations} | dict(self.ours)
        for key, tree in trees.items():
            yield _member(key, tree, "    ") + b",\n"
        members = [
            b'"%b": %b' % (key.encode(), entry.details)
            for key, entry in self.entries.items()
            if entry.details
        ]
        members += [
            _member(key, tree, DETAILS_MARGIN).lstrip() for key, tree in self.strays.items()
        ]
        opening, closing = b'    "records": {', b"    }"
        yield from _listed(opening, members, DETAILS_MARGIN, closing, written.details)
        yield b"," + SEAL_OPEN


class Draft:
    """A document that is being changed, by one transaction after the other."""

    def __init__(self, document: Document) -> None:
        self._before = document
        self._entries = dict(document.entries)
        self._trees = dict(document.reservations)
        self._deleted: set[str] = set()
        self._sessions = dict(document.snapshot.sessions)
        self._reservations = dict(document.snapshot.reservations)
        self.snapshot = Snapshot(
            MappingProxyType(self._sessions),
            MappingProxyType(self._reservations),
            document.snapshot.revision,
            document.snapshot.integrity,
            document.snapshot.commits,
        )
        """The state by now. Its sessions and reservations follow what is applied later."""

    def apply(self, changes: Changes) -> None:
        """Make ``changes``, all of them or none: as :meth:`frith.model.Changes.apply`.

        Raises:
            UnstorableError: they cannot be written.
        """
        if not changes:
            return
        put = [self._entry(session) for session in changes.put]
        trees = {r.id: _reservation_tree(r, self._trees) for r in changes.reserve}
        for key in changes.delete:
            self._entries.pop(key, None)
            self._sessions.pop(key, None)
            self._deleted.add(key)
        for entry in put:
            self._entries[entry.session.id] = entry
            self._sessions[entry.session.id] = entry.session
        for key in changes.release:
            self._trees.pop(key, None)
            self._reservations.pop(key, None)
        self._trees.update(trees)
        self._reservations.update((r.id, r) for r in changes.reserve)
        now, commit = self.snapshot, changes.commit
        commits = commit.added_to(now.commits) if commit else now.commits
        self.snapshot = replace(now, revision=now.revision + 1, commits=commits)

    @property
    def is_changed(self) -> bool:
        """Whether anything was applied."""
        return self.snapshot.revision != self._before.snapshot.revision

    def document(self) -> Document:
        """Return what it has become; nothing may be applied any more."""
        before, strays = self._before, self._before.strays
        if strays:
            gone = self._deleted | self._entries.keys()
            strays = {key: tree for key, tree in strays.items() if key not in gone}
        return Document(
            self.snapshot,
            self._entries,
            before.top,
            before.ours,
            strays,
            self._trees,
            before.seal,
            before.older,
        )

    def _entry(self, session: Session) -> Entry:
        before = self._entries.get(session.id)
        return before.changed(session) if before else Entry.of(session)


def _listed(
    opening: bytes, items: list[bytes], margin: str, closing: bytes, written: Lines
) -> Iterator[bytes]:
    """Lay out ``items`` between brackets, a line for each."""
    blocks = written.joined(items, b",\n" + margin.encode())
    yield opening + next(blocks, b"")[1:]
    yield from blocks
    yield b"\n" + closing if items else closing.lstrip()


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
