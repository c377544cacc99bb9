"""Bytes to document: what is believed, what is noticed, what is refused.

A file whose seal holds was laid out by :mod:`frith_json._document`: :mod:`frith_json._cutting`
reads it. Any other file is parsed as a whole, by a parser that keeps the text of odd numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from frith.errors import StoreVersionError
from frith.model import Integrity, Reservation, Snapshot
from frith_json import _document as layout
from frith_json._cutting import Cut
from frith_json._document import EMPTY, Document
from frith_json._entry import Entry, UnstorableError, read_session
from frith_json._numbers import Exact, loads, plain

_VERSION = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:[.+-].*)?", re.DOTALL)


class DamagedError(Exception):
    """The content is not a state file; ``str()`` says why."""


def read(data: bytes, where: str, previous: Document = EMPTY) -> Document:
    """Return the document that ``data`` stands for.

    Args:
        data: content of the state file ``where``.
        previous: an earlier reading, whose sessions are taken over where nothing changed.

    Raises:
        DamagedError: it is none.
        StoreVersionError: a newer version wrote it.
    """
    seal = verified_seal(data)
    try:
        if seal is not None:
            with suppress(ValueError, KeyError, DamagedError):  # not our layout after all
                return _cut(data, seal, where, previous)
        return _whole(data, seal, where)
    except UnicodeDecodeError as error:
        raise DamagedError("it is not UTF-8") from error
    except ValueError as error:
        raise DamagedError(str(error).splitlines()[0]) from error
    except UnstorableError as error:
        raise DamagedError(error.reason) from error


def verified_seal(data: bytes) -> str | None:
    """Return the checksum that ``data`` carries if it is right, else ``None``.

    It covers every byte of the file but its own digits, which stand at a fixed place.
    """
    start = len(data) - len(layout.SEAL_CLOSE) - layout.SEAL_SIZE
    body = memoryview(data)[: max(start, 0)]
    if (
        not data.endswith(layout.SEAL_CLOSE)
        or bytes(body[-len(layout.SEAL_OPEN) :]) != layout.SEAL_OPEN
    ):
        return None
    checksum = hashlib.sha256(body)
    checksum.update(layout.SEAL_CLOSE)
    seal = checksum.hexdigest()
    return seal if data.startswith(seal.encode(), start) else None


def check_version(tree: dict[str, Any], where: str) -> str | None:
    """Return the older version that the file has, ``None`` if it has ours.

    Versions are ``MAJOR.MINOR``; a higher one of either is newer, none at all is older.

    Raises:
        DamagedError: it is no version.
        StoreVersionError: it is newer.
    """
    found = tree.get("version", "0")
    text = found.text if isinstance(found, Exact) else str(found)
    match = _VERSION.fullmatch(text)
    if isinstance(found, bool) or match is None:
        raise DamagedError("its version is none")
    version = (int(match[1]), int(match[2] or 0))
    ours = tuple(int(part) for part in layout.VERSION.split("."))
    if version > ours:
        raise StoreVersionError(where, text, layout.VERSION)
    return None if version == ours else text


@dataclass(frozen=True, slots=True)
class _Ours:
    """Our own part of the file, but for the records."""

    revision: int
    commits: dict[str, str]
    reservations: dict[str, Any]
    verbatim: frozenset[str]
    rest: dict[str, Any]

    @classmethod
    def of(cls, tree: Any, where: str) -> _Ours:
        if not isinstance(tree, dict):
            raise DamagedError("its key 'frith' is not an object")
        rest = dict(tree)
        number, revision = rest.pop("format", None), rest.pop("revision", None)
        reservations, verbatim = rest.pop("reservations", {}), rest.pop("verbatim", [])
        commits = rest.pop("commits", {})
        for key in ("checksum", "records"):
            rest.pop(key, None)
        if type(number) is not int or type(revision) is not int or number < 1 or revision < 0:
            raise DamagedError("its format or revision is not a positive integer")
        if number > layout.FORMAT:
            raise StoreVersionError(where, f"1.0, format {number}", f"1.0, format {layout.FORMAT}")
        if not isinstance(reservations, dict) or not isinstance(verbatim, list):
            raise DamagedError("its reservations are not an object")
        if not isinstance(commits, dict) or not all(isinstance(v, str) for v in commits.values()):
            raise DamagedError("its commits are not an object of strings")
        return cls(revision, commits, reservations, frozenset(map(str, verbatim)), rest)


def _assembled(
    top: dict[str, Any],
    ours: _Ours,
    entries: Mapping[str, Entry],
    strays: Mapping[str, Any],
    integrity: Integrity,
    seal: str,
    older: str | None,
) -> Document:
    reservations = {
        key: Reservation.model_validate(plain(tree)) for key, tree in ours.reservations.items()
    }
    if any(key != reservation.id for key, reservation in reservations.items()):
        raise DamagedError("a reservation stands under another id")
    snapshot = Snapshot(
        MappingProxyType({key: entry.session for key, entry in entries.items()}),
        MappingProxyType(reservations),
        ours.revision,
        integrity,
        MappingProxyType(ours.commits),
    )
    return Document(snapshot, entries, top, ours.rest, strays, ours.reservations, seal, older)


def _cut(data: bytes, seal: str, where: str, previous: Document) -> Document:
    cut = Cut(data)
    tree = loads(cut.rest.decode())
    check_version(tree, where)
    ours = _Ours.of(tree["frith"], where)
    details = cut.details()
    entries = cut.entries(details, ours.verbatim, previous.entries)
    strays = {key: loads(text.decode()) for key, text in details.items()}
    return _assembled(_top(tree), ours, entries, strays, Integrity.VERIFIED, seal, None)


def _whole(data: bytes, seal: str | None, where: str) -> Document:
    tree = loads(data.decode("utf-8-sig"))  # RFC 8259 lets a parser ignore a byte order mark
    if not isinstance(tree, dict) or not isinstance(tree.get("sessions"), list):
        raise DamagedError("it is not an object with a list of sessions")
    older = check_version(tree, where)
    known = "frith" in tree
    blank = {"format": layout.FORMAT, "revision": 0}
    ours = _Ours.of(tree["frith"] if known else blank, where)
    records = tree["frith"].get("records", {}) if known else {}
    if not isinstance(records, dict):
        raise DamagedError("its records are not an object")
    strays, entries = dict(records), {}
    for record in tree["sessions"]:
        key = str(record.get("id")) if isinstance(record, dict) else ""
        entry = Entry.of(*read_session(record, strays.pop(key, {})))
        if key in entries:
            raise DamagedError(f"two sessions have the id {key}")
        entries[key] = entry
    readable = Integrity.MISMATCH if known else Integrity.FOREIGN
    return _assembled(
        _top(tree),
        ours,
        entries,
        strays,
        readable if seal is None else Integrity.VERIFIED,
        seal or hashlib.sha256(data).hexdigest(),
        older,
    )


def _top(tree: dict[str, Any]) -> dict[str, Any]:
    agreed = ("version", "sessions", "frith")
    return {key: None if key in agreed else value for key, value in tree.items()}
