"""From bytes to a document: what is believed, what is noticed, what is refused.

A file whose seal is right is cut into records by its layout. Any other file is parsed as a whole.
Both keep the text of numbers that Python would write differently.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from frith.errors import StoreVersionError
from frith.model import Integrity, Reservation, Snapshot
from frith_json import layout
from frith_json.codec import Entry, UnstorableError, read_entries, read_session
from frith_json.layout import EMPTY, Document, Verified
from frith_json.numbers import Exact, loads, plain

_VERSION = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:[.+-].*)?", re.DOTALL)


class DamagedError(Exception):
    """The content is not a state file; ``str()`` says why."""


def read(data: bytes, where: str, previous: Document = EMPTY) -> Document:
    """Return the document that ``data`` stands for.

    Args:
        data: content of the state file ``where``.
        previous: an earlier reading; sessions that have not changed are taken from it.

    Raises:
        DamagedError: it is none.
        StoreVersionError: a newer version wrote it.
    """
    verified = layout.verified(data)
    try:
        if verified is not None:
            with suppress(ValueError, KeyError, DamagedError):  # laid out by another program
                return _cut(verified, where, previous)
        return _whole(data, verified, where)
    except UnicodeDecodeError as error:
        raise DamagedError("it is not UTF-8") from error
    except ValueError as error:
        raise DamagedError(str(error).splitlines()[0]) from error
    except UnstorableError as error:
        raise DamagedError(error.reason) from error


def check_version(tree: dict[str, Any], where: str) -> str | None:
    """Return the older version that the file has, ``None`` if it has ours.

    Versions are ``MAJOR.MINOR``; a higher one of either is newer, none at all is older.

    Raises:
        DamagedError: it is not a version.
        StoreVersionError: it is newer.
    """
    found = tree.get("version", "0")
    text = found.text if isinstance(found, Exact) else str(found)
    match = _VERSION.fullmatch(text)
    if isinstance(found, bool) or match is None:
        raise DamagedError("its version is not MAJOR.MINOR")
    version = (int(match[1]), int(match[2] or 0))
    ours = tuple(int(part) for part in layout.VERSION.split("."))
    if version > ours:
        raise StoreVersionError(where, text, layout.VERSION)
    return None if version == ours else text


@dataclass(frozen=True, slots=True)
class _Own:
    """Frith's own part of the file, except the details of sessions."""

    revision: int
    commits: dict[str, str]
    reservations: dict[str, Any]
    exact: frozenset[str]
    rest: dict[str, Any]

    @classmethod
    def of(cls, tree: Any, where: str) -> _Own:
        if not isinstance(tree, dict):
            raise DamagedError("its key 'frith' is not an object")
        rest = dict(tree)
        number, revision = rest.pop("format", None), rest.pop("revision", None)
        reservations, exact = rest.pop("reservations", {}), rest.pop("verbatim", [])
        commits = rest.pop("commits", {})
        for key in ("checksum", "records"):
            rest.pop(key, None)
        if type(number) is not int or type(revision) is not int or number < 1 or revision < 0:
            raise DamagedError("its format or revision is not a positive integer")
        if number > layout.FORMAT:
            raise StoreVersionError(where, f"1.0, format {number}", f"1.0, format {layout.FORMAT}")
        if not isinstance(reservations, dict) or not isinstance(exact, list):
            raise DamagedError("its reservations are not an object")
        if not isinstance(commits, dict) or not all(isinstance(v, str) for v in commits.values()):
            raise DamagedError("its commits are not an object of strings")
        return cls(revision, commits, reservations, frozenset(map(str, exact)), rest)

    def document(
        self, tree: dict[str, Any], entries: Mapping[str, Entry], strays: Mapping[str, Any]
    ) -> Document:
        """Return the document of a file that ends with this part; its seal is not set."""
        agreed = ("version", "sessions", "frith")
        top = {key: None if key in agreed else value for key, value in tree.items()}
        reservations = {
            key: Reservation.model_validate(plain(found))
            for key, found in self.reservations.items()
        }
        if any(key != reservation.id for key, reservation in reservations.items()):
            raise DamagedError("a reservation stands under another id")
        snapshot = Snapshot(
            MappingProxyType({key: entry.session for key, entry in entries.items()}),
            MappingProxyType(reservations),
            self.revision,
            commits=MappingProxyType(self.commits),
        )
        return Document(snapshot, entries, top, self.rest, strays, self.reservations)


def _cut(verified: Verified, where: str, previous: Document) -> Document:
    records, details, rest = verified.cut()
    tree = loads(rest.decode())
    check_version(tree, where)
    own = _Own.of(tree["frith"], where)
    entries, strays = read_entries(records, details, own.exact, previous.entries)
    return replace(own.document(tree, entries, strays), seal=verified.seal)


def _whole(data: bytes, verified: Verified | None, where: str) -> Document:
    tree = loads(data.decode("utf-8-sig"))  # RFC 8259 lets a parser ignore a byte order mark
    if not isinstance(tree, dict) or not isinstance(tree.get("sessions"), list):
        raise DamagedError("it is not an object with a list of sessions")
    older = check_version(tree, where)
    is_known = "frith" in tree
    own = _Own.of(tree.get("frith", {"format": layout.FORMAT, "revision": 0}), where)
    records = tree["frith"].get("records", {}) if is_known else {}
    if not isinstance(records, dict):
        raise DamagedError("its records are not an object")
    strays, entries = dict(records), {}
    for record in tree["sessions"]:
        key = str(record.get("id")) if isinstance(record, dict) else ""
        entry = Entry.of(*read_session(record, strays.pop(key, {})))
        if key in entries:
            raise DamagedError(f"two sessions have the id {key}")
        entries[key] = entry
    document = replace(own.document(tree, entries, strays), older=older)
    if verified is not None:
        return replace(document, seal=verified.seal)
    integrity = Integrity.MISMATCH if is_known else Integrity.FOREIGN
    snapshot = replace(document.snapshot, integrity=integrity)
    return replace(document, snapshot=snapshot, seal=hashlib.sha256(data).hexdigest())
