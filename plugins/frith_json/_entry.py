"""One session of the state file: the model, and the bytes that stand for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from frith.errors import StoreError
from frith.model import Details, Session
from frith_json._numbers import (
    UNENCODABLE,
    dumps,
    encoded,
    has_lone_surrogate,
    loads,
    plain,
    restored,
)
from frith_json._patch import patched

RECORD_MARGIN = "    "
"""Indentation of a record in the file."""
DETAILS_MARGIN = "      "
"""Indentation of a session's details in the file."""

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


class Entry(NamedTuple):
    """One session, and the bytes that stand for it."""

    session: Session
    record: bytes
    details: bytes
    """Empty if there are none."""
    verbatim: bool
    """Whether only the exact parser reads it in full: odd numbers, lone surrogates."""
    origin: Origin | None = None

    @classmethod
    def of(cls, session: Session, origin: Origin | None = None) -> Entry:
        """Encode ``session``.

        Raises:
            UnstorableError: what would be written could not be read again.
        """
        before = origin or Origin({}, {})
        try:
            record = restored(session.to_record(), before.record)
            record |= _unheld(before.record, Session)
            details = restored(_details_of(session.details), before.details)
            details |= _unheld(before.details, Details)
            written = encoded(dumps(record, RECORD_MARGIN))
            written_details = encoded(dumps(details, DETAILS_MARGIN)) if details else b""
            verbatim = origin is not None or b"\\ud" in written or b"\\ud" in written_details
            cls.read(written, written_details, verbatim)
        except UNENCODABLE as error:
            raise UnstorableError(session.id, str(error)) from error
        return cls(session, written, written_details, verbatim, origin)

    def changed(self, session: Session) -> Entry:
        """Return the entry of ``session``, which takes the place of this one.

        Raises:
            UnstorableError: as :meth:`of`.
        """
        if not self.verbatim:
            record = patched(self.record, self.details, self.session, session)
            if record is not None:
                return Entry(session, record, self.details, verbatim=False)
        return Entry.of(session, self.origin)

    @classmethod
    def read(cls, record: bytes, details: bytes, verbatim: bool) -> Entry:
        """Return the entry that was written as these bytes.

        Raises:
            ValueError: none was.
        """
        if verbatim:
            trees = loads(record.decode()), loads(details.decode() or "{}")
            session, origin = read_session(*trees)
            return cls(session, record, details, verbatim, origin)
        session = Session.model_validate_json(record)
        if details:
            session = session.evolve(details=Details.model_validate_json(details))
        return cls(session, record, details, verbatim)


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


def _details_of(details: Details) -> dict[str, Any]:
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
