"""Parses a state file: verifies its seal, and refuses damaged and newer content.

A file whose seal is right is cut into records by its layout. Any other file is parsed as a whole.
Both keep the text of numbers that Python would write differently.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from frith.errors import StoreVersionError
from frith.model import Changes, Integrity, Reservation, Session, Snapshot
from frith_json.codec import UnstorableError, read_session, read_sessions
from frith_json.numbers import Exact, loads, plain
from frith_json.text import EMPTY, FORMAT, VERSION, Document, Verified, verified

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
    sealed = verified(data)
    try:
        if sealed is not None:
            with suppress(ValueError, LookupError, DamagedError):  # laid out by another program
                return _cut(sealed, where, previous)
        return _whole(data, sealed, where)
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
    ours = tuple(int(part) for part in VERSION.split("."))
    if version > ours:
        raise StoreVersionError(where, text, VERSION)
    return None if version == ours else text


def _cut(sealed: Verified, where: str, previous: Document) -> Document:
    records, details, rest = sealed.cut()
    tree = loads(rest.decode())
    check_version(tree, where)
    own, exact = _own_part(tree["frith"], where)
    if tree["sessions"] != [] or tree["frith"]["records"] != {}:
        raise ValueError("there are sessions outside the layout")
    known = {
        key: session
        for key, session in previous.snapshot.sessions.items()
        if previous.records.texts[key] == records.texts.get(key)
        and previous.details.texts.get(key) == details.texts.get(key)
    }
    sessions, origins = read_sessions(records.texts, details.texts, exact, known)
    origins = {**previous.exact, **origins}
    return replace(
        _completed(own, tree, sessions),
        records=records,
        details=details,
        exact={key: origins[key] for key in exact},
        seal=sealed.seal,
    )


def _whole(data: bytes, sealed: Verified | None, where: str) -> Document:
    tree = loads(data.decode("utf-8-sig"))  # RFC 8259 lets a parser ignore a byte order mark
    if not isinstance(tree, dict) or not isinstance(tree.get("sessions"), list):
        raise DamagedError("it is not an object with a list of sessions")
    older = check_version(tree, where)
    is_known = "frith" in tree
    own, _ = _own_part(tree.get("frith", {"format": FORMAT, "revision": 0}), where)
    records = tree["frith"].get("records", {}) if is_known else {}
    if not isinstance(records, dict):
        raise DamagedError("its records are not an object")
    strays, sessions, origins = dict(records), {}, {}
    for record in tree["sessions"]:
        key = str(record.get("id")) if isinstance(record, dict) else ""
        session, origin = read_session(record, strays.pop(key, {}))
        if key in sessions:
            raise DamagedError(f"two sessions have the id {key}")
        sessions[key], origins[key] = session, origin
    base = replace(_completed(own, tree, sessions), exact=origins, strays=strays, older=older)
    document = base.changed(Changes(put=tuple(sessions.values())))
    document = replace(document, snapshot=base.snapshot)
    if sealed is not None:
        return replace(document, seal=sealed.seal)
    integrity = Integrity.MISMATCH if is_known else Integrity.FOREIGN
    snapshot = replace(document.snapshot, integrity=integrity)
    return replace(document, snapshot=snapshot, seal=hashlib.sha256(data).hexdigest())


def _own_part(tree: Any, where: str) -> tuple[Document, tuple[str, ...]]:
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
    if number > FORMAT:
        raise StoreVersionError(where, f"1.0, format {number}", f"1.0, format {FORMAT}")
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
    return Document(snapshot, own=rest, reservations=trees), tuple(map(str, exact))


def _completed(own: Document, tree: dict[str, Any], sessions: dict[str, Session]) -> Document:
    """Return the document of the file ``tree`` with these sessions, whose text is not known yet."""
    top = tree | dict.fromkeys(tree.keys() & {"version", "sessions", "frith"})
    snapshot = replace(own.snapshot, sessions=MappingProxyType(sessions))
    return replace(own, snapshot=snapshot, top=top)
