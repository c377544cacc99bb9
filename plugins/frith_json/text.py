"""The text of the state file: joined from records, sealed, and split into records again.

The seal is a SHA-256 over the digests of blocks. A block is a record or the details of a session
(the first and the last with the text before and after them), so that each entry keeps its own
digest and a change hashes only its own entries. docs/reference/state-file.md defines all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple

from frith.model import Changes, Integrity, Reservation, Snapshot
from frith_json.codec import Origin, UnstorableError, text_of
from frith_json.numbers import UNENCODABLE, dumps, encoded, loads, plain, restored

VERSION = "1.0"
"""The agreed version of the file."""
FORMAT = 1
"""The version of frith's own part of it."""

_OWN_PART = b'\n  "frith": {'
_SEAL_OPEN, _SEAL_CLOSE = b'"checksum": "sha256:', b'"\n  }\n}'
_SEAL_SIZE = 64


class Texts(NamedTuple):
    """The records, or the details, of sessions by id: see :class:`frith_json.codec.Text`."""

    texts: dict[str, bytes]
    digests: dict[str, bytes]
    """The SHA-256 of each text, in the same order."""

    def changed(self, put: dict[str, bytes], delete: Collection[str]) -> Texts:
        """Return the texts with those of ``put``, and without those of ``delete``."""
        texts, digests = self.texts.copy(), self.digests.copy()
        for key in delete:
            texts.pop(key, None)
            digests.pop(key, None)
        texts |= put
        digests |= {key: sha256(text).digest() for key, text in put.items()}
        return Texts(texts, digests)


NONE = Texts({}, {})


@dataclass(frozen=True, slots=True)
class _Section:
    """How the objects of one kind follow each other in a part of the file."""

    opening: bytes
    """Stands before the first of them."""
    between: bytes
    closing: bytes
    """Stands after the last of them."""
    empty: bytes
    """Stands in place of all that if there is none."""
    key: slice
    """Where an object has the id of its session."""

    def blocks_of(self, part: bytes) -> tuple[list[bytes], list[bytes]]:
        """Return the blocks of a part of the file, and their digests."""
        blocks = part.split(self.between)
        return blocks, [sha256(block).digest() for block in blocks]

    def joined(
        self, before: bytes, objects: Texts, after: bytes
    ) -> tuple[list[bytes], list[bytes]]:
        """Return the part with these objects in pieces, and the digests of its blocks."""
        bodies, digests = list(objects.texts.values()), list(objects.digests.values())
        if not bodies:
            part = before + self.empty + after
            return [part], self.blocks_of(part)[1]
        before, after = before + self.opening, self.closing + after
        first = self.blocks_of(before + bodies[0] + (after if len(bodies) == 1 else b""))[1]
        last = self.blocks_of(bodies[-1] + after)[1] if len(bodies) > 1 else []
        return [before, self.between.join(bodies), after], [*first, *digests[1:-1], *last]

    def cut(self, part: bytes, blocks: list[bytes], digests: list[bytes]) -> tuple[Texts, bytes]:
        """Return the objects in a ``part`` with these ``blocks``, and the part without them.

        Raises:
            ValueError: it is not laid out as by :meth:`joined`.
        """
        start = part.find(self.opening)
        if start < 0:
            return NONE, part
        stop = part.index(self.closing, start)
        first = part.count(self.between, 0, start)
        end, position = len(blocks), len(part)
        while (position := position - len(blocks[end - 1])) > stop:  # faster than counting
            end -= 1
            position -= len(self.between)
        bodies, own = blocks[first:end], digests[first:end]
        bodies[0] = bodies[0].partition(self.opening)[2]
        bodies[-1] = bodies[-1].partition(self.closing)[0]
        own[0], own[-1] = sha256(bodies[0]).digest(), sha256(bodies[-1]).digest()
        keys = [body[self.key].decode() for body in bodies]
        texts = dict(zip(keys, bodies, strict=True))
        if len(texts) != len(bodies):
            raise ValueError("two sessions have the same id")
        rest = part[:start] + self.empty + part[stop + len(self.closing) :]
        return Texts(texts, dict(zip(keys, own, strict=True))), rest


_RECORDS = _Section(
    opening=b'\n  "sessions": [\n    {',
    between=b"\n    },\n    {",
    closing=b"\n    }\n  ]",
    empty=b'\n  "sessions": []',
    key=slice(14, 50),
)
_DETAILS = _Section(
    opening=b'\n    "records": {\n      ',
    between=b"\n      },\n      ",
    closing=b"\n      }\n    }",
    empty=b'\n    "records": {}',
    key=slice(1, 37),
)


class Verified(NamedTuple):
    """A file whose seal is right: its parts, with their blocks and the digests of these."""

    seal: str
    agreed: tuple[bytes, list[bytes], list[bytes]]
    own: tuple[bytes, list[bytes], list[bytes]]

    def cut(self) -> tuple[Texts, Texts, bytes]:
        """Return the records, the details of sessions, and the file without them.

        Raises:
            ValueError: it is laid out differently.
        """
        records, agreed = _RECORDS.cut(*self.agreed)
        details, own = _DETAILS.cut(*self.own)
        if any(text[37:42] != b'": {\n' for text in details.texts.values()):
            raise ValueError("details are not an object, or belong to no session")
        return records, details, agreed + own


def verified(data: bytes) -> Verified | None:
    """Return the file with the content ``data``, ``None`` unless it carries the right seal."""
    end = len(data) - len(_SEAL_CLOSE)
    start = max(end - _SEAL_SIZE, 0)
    middle = data.rfind(_OWN_PART, 0, start)
    agreed, own = data[: max(middle, 0)], data[middle:start] + data[end:]
    if middle < 0 or not own.endswith(_SEAL_OPEN + _SEAL_CLOSE):
        return None
    records, details = _RECORDS.blocks_of(agreed), _DETAILS.blocks_of(own)
    seal = seal_of([*records[1], *details[1]])
    if not _matches(seal, data[start:end]):
        return None
    return Verified(seal, (agreed, *records), (own, *details))


def seal_of(digests: Sequence[bytes]) -> str:
    """Return the seal of a file whose blocks have these ``digests``."""
    return sha256(b"".join(digests)).hexdigest()


def _matches(seal: str, found: bytes) -> bool:
    return seal.encode() == found


@dataclass(frozen=True, slots=True)
class Document:
    """Everything in the state file. ``records`` and ``snapshot`` hold the same sessions."""

    snapshot: Snapshot
    records: Texts = NONE
    details: Texts = NONE
    """The details of those sessions that have any; also of sessions that the file does not hold."""
    exact: Mapping[str, Origin | None] = field(default_factory=dict)
    """The sessions that only the exact parser reads in full: unusual numbers, lone surrogates."""
    top: Mapping[str, Any] = field(default_factory=dict)
    """Other programs' keys of the file, and ours with ``None``, in the order of the file."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """Keys of frith's part that this version does not know."""
    strays: Mapping[str, Any] = field(default_factory=dict)
    """Details of sessions that the file does not hold, where their text is not laid out as ours."""
    reservations: Mapping[str, Any] = field(default_factory=dict)
    """The reservations as trees."""
    seal: str = ""
    """Tells contents apart: a SHA-256 in hexadecimal digits."""
    older: str | None = None
    """The version that the file had, if it has to be migrated."""

    def changed(self, changes: Changes) -> Document:
        """Return the document after ``changes``, with the next revision.

        Raises:
            UnstorableError: they cannot be written.
        """
        put = {s.id: text_of(s, self.exact.get(s.id)) for s in changes.put}
        touched = changes.delete.union(put)
        records = {key: text.record for key, text in put.items()}
        details = {key: text.details for key, text in put.items() if text.details}
        exact = {key: self.exact.get(key) for key, text in put.items() if text.is_exact}
        trees = self.reservations
        reserved = {r.id: _reservation_tree(r, trees.get(r.id, {})) for r in changes.reserve}
        return replace(
            self,
            snapshot=changes.apply(self.snapshot),
            records=self.records.changed(records, changes.delete),
            details=self.details.changed(details, touched - details.keys()),
            exact=_without(self.exact, touched) | exact,
            reservations=_without(trees, changes.release) | reserved,
            strays=_without(self.strays, touched),
        )

    def sealed(self) -> tuple[Document, list[bytes]]:
        """Return the document as it will be read again, and the content of the file in pieces."""
        agreed, own = self._agreed_part(), self._own_part()
        seal = seal_of([*agreed[1], *own[1]])
        last = own[0][-1].removesuffix(_SEAL_CLOSE) + seal.encode() + _SEAL_CLOSE
        snapshot = replace(self.snapshot, integrity=Integrity.VERIFIED)
        sealed = replace(self, snapshot=snapshot, seal=seal, older=None)
        return sealed, [*agreed[0], *own[0][:-1], last]

    def _agreed_part(self) -> tuple[list[bytes], list[bytes]]:
        top = self.top if "version" in self.top else {"version": None, "sessions": None, **self.top}
        keys = [key for key in top if key != "frith"]
        members = [_member(key, VERSION if key == "version" else top[key], "  ") for key in keys]
        place = keys.index("sessions")
        before = b"{" + b"".join(member + b"," for member in members[:place])
        after = b"".join(b"," + member for member in members[place + 1 :]) + b","
        return _RECORDS.joined(before, self.records, after)

    def _own_part(self) -> tuple[list[bytes], list[bytes]]:
        trees: dict[str, Any] = {"format": FORMAT, "revision": self.snapshot.revision}
        if self.exact:
            trees["verbatim"] = list(self.exact)
        if commits := self.snapshot.commits:
            trees["commits"] = dict(commits)
        trees |= {"reservations": self.reservations} | dict(self.own)
        members = [_member(key, tree, "    ") + b"," for key, tree in trees.items()]
        before, after = _OWN_PART + b"".join(members), b",\n    " + _SEAL_OPEN + _SEAL_CLOSE
        if not self.strays:
            return _DETAILS.joined(before, self.details, after)
        texts = [b"\n      %b\n      }" % text for text in self.details.texts.values()]
        texts += [_member(key, tree, "      ") for key, tree in self.strays.items()]
        part = before + b'\n    "records": {' + b",".join(texts) + b"\n    }" + after
        return [part], _DETAILS.blocks_of(part)[1]


def _without(mapping: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _member(key: str, tree: Any, margin: str) -> bytes:
    return encoded(f"\n{margin}{dumps(key)}: {dumps(tree, margin)}")


def _reservation_tree(reservation: Reservation, held: Any) -> Any:
    try:
        tree = reservation.model_dump(mode="json", by_alias=True, warnings="error")
        tree |= reservation.model_extra or {}
        tree = restored(tree, held)
        Reservation.model_validate(plain(loads(encoded(dumps(tree)).decode())))
    except UNENCODABLE as error:
        raise UnstorableError(reservation.id, str(error)) from error
    return tree


EMPTY = Document(Snapshot(MappingProxyType({}), MappingProxyType({}), 0, Integrity.MISSING))
"""The document of a missing file."""
