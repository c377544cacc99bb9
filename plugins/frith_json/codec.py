"""One session of the state file: the model, and the text that stands for it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
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
_DETAILS_VALUE = slice(40, None)
"""Where the object begins in the details of a session."""
_SLICE, _PAUSE = 250, 0.00005
"""Records that are validated in one go, and seconds until the next: so the event loop gets its turn
before each slice, not only when it has waited for 5 ms (``sys.setswitchinterval``)."""
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


class Text(NamedTuple):
    """The text that stands for a session."""

    record: bytes
    """The record without its braces, such as ``\\n      "id": "…",\\n      "name": "one"``."""
    details: bytes
    """The details without the last brace, such as ``"{id}": {\\n        "exit": …``; or empty."""
    is_exact: bool
    """Whether only the exact parser reads it in full."""


def text_of(session: Session, origin: Origin | None = None) -> Text:
    """Encode ``session``, which was read from ``origin``.

    Raises:
        UnstorableError: it could not be read again.
    """
    try:
        record_tree, details_tree = session.to_record(), _details_tree(session.details)
        if origin is not None:
            record_tree = restored(record_tree, origin[0]) | _not_modelled(origin[0], Session)
            details_tree = restored(details_tree, origin[1]) | _not_modelled(origin[1], Details)
        record = encoded(dumps(record_tree, _RECORD_MARGIN))[1:-6]
        details = b""
        if details_tree:
            details = encoded(f'"{session.id}": {dumps(details_tree, _DETAILS_MARGIN)}')[:-8]
        is_exact = origin is not None or b"\\ud" in record or b"\\ud" in details
        if is_exact:
            _read_exactly(record, details)
        else:
            Session.model_validate_json(b"{%b}" % _object(record, details))
    except UNENCODABLE as error:
        raise UnstorableError(session.id, str(error)) from error
    return Text(record, details, is_exact)


def read_sessions(
    records: Mapping[str, bytes],
    details: Mapping[str, bytes],
    exact: Collection[str],
    known: Mapping[str, Session],
) -> tuple[dict[str, Session], dict[str, Origin | None]]:
    """Return the sessions of a verified file, and the origins of those read exactly, by id.

    Args:
        records, details: as in :class:`Text`.
        exact: the ids of sessions that only the exact parser reads in full.
        known: those sessions that were read before from the same text.

    Raises:
        ValueError, LookupError: the text is not that of sessions with these ids.
    """
    found = dict(known)
    origins: dict[str, Origin | None] = {}
    for key in exact:
        if key not in known:
            found[key], origins[key] = _read_exactly(records[key], details.get(key, b""))
    fresh = [key for key in records if key not in found]
    for start in range(0, len(fresh), _SLICE):
        time.sleep(_PAUSE)
        keys = fresh[start : start + _SLICE]
        objects = [_object(records[key], details.get(key, b"")) for key in keys]
        # One call for many, because each has a cost beside that of its records.
        sessions = _SESSIONS.validate_json(b"[{%b}]" % b"},{".join(objects))
        found.update(zip(keys, sessions, strict=True))
    if any(session.id != key for key, session in found.items()):
        raise ValueError("a session has its id in another place")
    return {key: found[key] for key in records}, origins


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


def _read_exactly(record: bytes, details: bytes) -> tuple[Session, Origin | None]:
    details_text = details[_DETAILS_VALUE] + b"}" if details else b"{}"
    return read_session(loads((b"{%b}" % record).decode()), loads(details_text.decode()))


def _object(record: bytes, details: bytes) -> bytes:
    return b'%b,"details":%b}' % (record, details[_DETAILS_VALUE]) if details else record


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
