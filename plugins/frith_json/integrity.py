"""Parses a state file: verifies its seal, and refuses damaged and newer content.

A file whose seal is right is cut into records by its layout. Any other file is parsed as a whole.
Both keep the text of numbers that Python would write differently.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
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


def _cut(verified: Verified, where: str, previous: Document) -> Document:
    records, details, rest = verified.cut()
    tree = loads(rest.decode())
    check_version(tree, where)
    own, exact = _own_part(tree["frith"], where)
    if tree["sessions"] != [] or tree["frith"]["records"] != {}:
        raise ValueError("there are sessions outside the layout")
    entries, strays = read_entries(records, details, exact, previous.entries)
    return replace(_completed(own, tree, entries, strays), seal=verified.seal)


def _whole(data: bytes, verified: Verified | None, where: str) -> Document:
    tree = loads(data.decode("utf-8-sig"))  # RFC 8259 lets a parser ignore a byte order mark
    if not isinstance(tree, dict) or not isinstance(tree.get("sessions"), list):
        raise DamagedError("it is not an object with a list of sessions")
    older = check_version(tree, where)
    is_known = "frith" in tree
    own, _ = _own_part(tree.get("frith", {"format": layout.FORMAT, "revision": 0}), where)
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
    document = replace(_completed(own, tree, entries, strays), older=older)
    if verified is not None:
        return replace(document, seal=verified.seal)
    integrity = Integrity.MISMATCH if is_known else Integrity.FOREIGN
    snapshot = replace(document.snapshot, integrity=integrity)
    return replace(document, snapshot=snapshot, seal=hashlib.sha256(data).hexdigest())


def _own_part(tree: Any, where: str) -> tuple[Document, frozenset[str]]:
    """Return what frith's own part of the file says, and the ids that it lists as verbatim.

    It leaves out the details of sessions.
    """
    if not isinstance(tree, dict):
        raise DamagedError("its key 'frith' is not an object")
    rest = {key: value for key, value in tree.items() if key not in ("checksum", "records")}
    number, revision = rest.pop("format", None), rest.pop("revision", None)
    trees, exact = rest.pop("reservations", {}), rest.pop("verbatim", [])
    commits = rest.pop("commits", {})
    if type(number) is not int or type(revision) is not int or number < 1 or revision < 0:
        raise DamagedError("its format or revision is not a positive integer")
    if number > layout.FORMAT:
        raise StoreVersionError(where, f"1.0, format {number}", f"1.0, format {layout.FORMAT}")
    if not isinstance(trees, dict) or not isinstance(exact, list):
        raise DamagedError("its reservations are not an object")
    if not isinstance(commits, dict) or not all(isinstance(v, str) for v in commits.values()):
        raise DamagedError("its commits are not an object of strings")
    reservations = {key: Reservation.model_validate(plain(found)) for key, found in trees.items()}
    if any(key != reservation.id for key, reservation in reservations.items()):
        raise DamagedError("a reservation stands under another id")
    snapshot = Snapshot(
        reservations=MappingProxyType(reservations),
        revision=revision,
        commits=MappingProxyType(commits),
    )
    return Document(snapshot, own=rest, reservations=trees), frozenset(map(str, exact))


def _completed(
    own: Document, tree: dict[str, Any], entries: Mapping[str, Entry], strays: Mapping[str, Any]
) -> Document:
    """Return the document of the file ``tree`` with these sessions."""
    sessions = MappingProxyType({key: entry.session for key, entry in entries.items()})
    top = {
        key: None if key in ("version", "sessions", "frith") else value
        for key, value in tree.items()
    }
    snapshot = replace(own.snapshot, sessions=sessions)
    return replace(own, snapshot=snapshot, entries=entries, top=top, strays=strays)
