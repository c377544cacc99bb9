"""One session of the state file: the model, and the text that stands for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from frith.errors import StoreError
from frith.model import Details, Session
from frith_json.numbers import (
    UNENCODABLE,
    dumps,
    encoded,
    has_lone_surrogate,
    loads,
    plain,
    restored,
)

_RECORD_MARGIN, _DETAILS_MARGIN = "    ", "      "
"""Indentation of a record, and of the details of a session, in the file."""
_RECORD_ID, _DETAILS_ID = slice(14, 50), slice(1, 37)
"""Where the id of a session is in its record and in its details."""
_DETAILS_VALUE = slice(40, None)
"""Where the object begins in the details of a session."""
_SLICE, _PAUSE = 250, 0.00002
"""Records that are validated in one go, and seconds until the next: so the event loop gets its turn
after each slice, not only when it has waited for 5 ms (``sys.setswitchinterval``)."""
_SESSIONS = TypeAdapter(list[Session], config=ConfigDict(cache_strings="keys"))
"""Caching values as well costs more than it saves where they differ."""
_OWN: dict[type[BaseModel], frozenset[str]] = {
    Session: frozenset(to_camel(name) for name in Session.model_fields if name != "details"),
    Details: frozenset(to_camel(name) for name in Details.model_fields),
}
"""The keys of the JSON. A model also answers to its Python names, which are others' here."""


class UnstorableError(StoreError):
    """A session or reservation holds a value that JSON, or the agreed schema, cannot represent."""

    code = "STORE_UNSTORABLE"

    def __init__(self, session_id: str, reason: str) -> None:
        super().__init__(
            f"Session {session_id} cannot be stored: {reason}. "
            "Use only JSON values in metadata, and the types of the model elsewhere."
        )
        self.session_id = session_id
        self.reason = reason


Origin: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
"""A record and its details as read, where a model alone could not give them back."""


class Entry(NamedTuple):
    """One session, and the text that stands for it."""

    session: Session
    record: bytes
    """The record without its braces, such as ``\\n      "id": "…",\\n      "name": "one"``."""
    record_digest: bytes
    """The SHA-256 of the record."""
    details: bytes
    """The details without the last brace, such as ``"{id}": {\\n        "exit": …``; or empty."""
    details_digest: bytes
    """The SHA-256 of the details."""
    is_exact: bool = False
    """Whether only the exact parser reads it in full: unusual numbers, lone surrogates."""
    origin: Origin | None = None

    @classmethod
    def of(cls, session: Session, origin: Origin | None = None) -> Entry:
        """Encode ``session``.

        Raises:
            UnstorableError: it could not be read again.
        """
        old_record, old_details = origin or ({}, {})
        try:
            record_tree = restored(session.to_record(), old_record)
            record_tree |= _not_modelled(old_record, Session)
            details_tree = restored(_details_tree(session.details), old_details)
            details_tree |= _not_modelled(old_details, Details)
            record = encoded(dumps(record_tree, _RECORD_MARGIN))[1:-6]
            details = b""
            if details_tree:
                text = f'"{session.id}": {dumps(details_tree, _DETAILS_MARGIN)}'
                details = encoded(text)[:-8]
            is_exact = origin is not None or b"\\ud" in record or b"\\ud" in details
            _read(record, details, is_exact)
        except UNENCODABLE as error:
            raise UnstorableError(session.id, str(error)) from error
        digests = sha256(record).digest(), sha256(details).digest()
        return cls(session, record, digests[0], details, digests[1], is_exact, origin)


def read_entries(
    records: Iterable[tuple[bytes, bytes]],
    details: Iterable[tuple[bytes, bytes]],
    exact: frozenset[str],
    previous: Mapping[str, Entry],
) -> tuple[dict[str, Entry], dict[str, Any]]:
    """Return the entries of a verified file, and the details of sessions without a record, by id.

    Args:
        records, details: as in :class:`Entry`, each with its digest.
        exact: the ids of sessions that only the exact parser reads in full.
        previous: an earlier reading; entries that have not changed are taken from it.

    Raises:
        ValueError: the text is not that of sessions with different ids.
    """
    found: dict[str, Entry | None] = {}
    fresh: list[tuple[bytes, bytes, bytes, bytes]] = []
    members = list(details)
    by_id = {member[0][_DETAILS_ID].decode(): member for member in members}
    count = len(members) - len(by_id)
    for record, record_digest in records:
        count += 1
        key = record[_RECORD_ID].decode()
        text, digest = by_id.pop(key, (b"", b""))
        entry = previous.get(key)
        if entry is None or entry.record != record or entry.details != text:
            entry = None
            if key in exact:
                session, origin = _read(record, text, is_exact=True)
                entry = Entry(session, record, record_digest, text, digest, True, origin)
            else:
                fresh.append((record, record_digest, text, digest))
        found[key] = entry
    for start in range(0, len(fresh), _SLICE):
        found |= _validated(fresh[start : start + _SLICE])
        time.sleep(_PAUSE)
    if len(found) != count or any(e is None or e.session.id != key for key, e in found.items()):
        raise ValueError("two sessions have the same id, or one has it in another place")
    strays = loads((b"{%b}" % b",".join(b"%b}" % text for text, _ in by_id.values())).decode())
    if strays.keys() & found.keys():
        raise ValueError("the details of a session are not an object")
    return cast("dict[str, Entry]", found), strays


def read_session(record: Any, details: Any) -> tuple[Session, Origin | None]:
    """Return the session that two parsed trees stand for, and what the model cannot hold of them.

    Raises:
        ValueError: they do not fit the schema.
    """
    if not isinstance(record, dict) or not isinstance(details, dict):
        raise ValueError("a session is not an object")  # noqa: TRY004
    try:
        simple, simple_details = _modelled(record, Session), _modelled(details, Details)
    except RecursionError:
        raise ValueError("a session is nested too deeply") from None
    session = Session.model_validate(simple)
    if details:
        session = session.evolve(details=Details.model_validate(simple_details))
    is_odd = simple is not record or simple_details is not details
    return session, (record, details) if is_odd else None


def _validated(texts: list[tuple[bytes, bytes, bytes, bytes]]) -> dict[str, Entry]:
    # One call for many, because each has a cost beside that of its records.
    objects = [_object(record, details) for record, _, details, _ in texts]
    sessions = _SESSIONS.validate_json(b"[%b]" % b",".join(objects))
    return {
        session.id: Entry(session, *text) for session, text in zip(sessions, texts, strict=True)
    }


def _read(record: bytes, details: bytes, is_exact: bool) -> tuple[Session, Origin | None]:
    """Return the session that was written as these bytes.

    Raises:
        ValueError: none was.
    """
    if not is_exact:
        return Session.model_validate_json(_object(record, details)), None
    details_text = details[_DETAILS_VALUE] + b"}" if details else b"{}"
    return read_session(loads((b"{%b}" % record).decode()), loads(details_text.decode()))


def _object(record: bytes, details: bytes) -> bytes:
    return (
        b'{%b,"details":%b}}' % (record, details[_DETAILS_VALUE]) if details else b"{%b}" % record
    )


def _modelled(tree: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    others = _not_modelled(tree, model)
    kept = {key: value for key, value in tree.items() if key not in others} if others else tree
    return cast("dict[str, Any]", plain(kept))


def _not_modelled(tree: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return those fields of ``tree`` that a ``model`` would mistake for its own or cannot hold."""
    own = _OWN[model]
    return {
        key: value
        for key, value in tree.items()
        if key not in own and (key in model.model_fields or has_lone_surrogate({key: value}))
    }


def _details_tree(details: Details) -> dict[str, Any]:
    if not details.model_fields_set:
        return {}
    ref = {} if details.terminal_ref is None else {"terminalRef": details.terminal_ref}
    # What is JSON already is taken as it is: pydantic's own dump would turn an infinite number into
    # null and a lone surrogate in a key into replacement characters.
    extra = details.model_extra or {}
    known = details.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        exclude={"terminal_ref", *extra},
        warnings="error",
    )
    return known | ref | extra
