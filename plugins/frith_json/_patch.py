"""The frequent change at little cost: new text for single fields of a record.

Most changes touch a time, a status, a process id. A record is laid out with a line for each
field, and no JSON string holds a raw line break: the line of a field is found by its indentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from frith.model import Session, SessionStatus, format_timestamp
from frith_json._numbers import UNENCODABLE, dumps

_Fields: TypeAlias = Mapping[str, Any]
_COMMA = ord(",")


def _string(value: str) -> bytes:
    return dumps(value).encode()  # a lone surrogate raises


def _status(value: SessionStatus) -> bytes:
    return b'"%b"' % value.value.encode()


def _moment(value: datetime) -> bytes:
    return b'"%b"' % format_timestamp(value).encode()


def _process_id(value: int) -> bytes:
    if value.bit_length() > 63:
        raise ValueError("to be encoded with care")
    return b"%d" % value


_FIELDS: tuple[tuple[str, bytes, type, Callable[[Any], bytes]], ...] = (
    ("last_activity", b'\n      "lastActivity": ', datetime, _moment),
    ("status", b'\n      "status": ', SessionStatus, _status),
    ("pty_pid", b'\n      "ptyPid": ', int, _process_id),
    ("current_phase", b'\n      "currentPhase": ', str, _string),
    ("name", b'\n      "name": ', str, _string),
    ("branch", b'\n      "branch": ', str, _string),
    ("worktree_path", b'\n      "worktreePath": ', str, _string),
    ("created_at", b'\n      "createdAt": ', datetime, _moment),
)
"""A field's name in Python, how its line begins, its type, and how its value is written."""


def patched(record: bytes, details: bytes, before: Session, after: Session) -> bytes | None:
    """Return the record of ``after``, whose details are as before.

    Args:
        record, details: what was written for ``before``.

    Returns:
        The same as encoding ``after`` anew would give; ``None`` where that is to be done.
    """
    old, new = before.__dict__, after.__dict__
    if before.id != after.id or before.model_extra or after.model_extra:
        return None
    if not (_same_metadata(record, old, new) and _same_details(details, old, new)):
        return None
    try:
        for name, opening, kind, text in _FIELDS:
            value = new[name]
            if value is old[name]:
                continue
            if type(value) is not kind or old[name] is None:
                return None
            start = record.index(opening) + len(opening)
            end = record.index(b"\n", start)
            end -= record[end - 1] == _COMMA
            record = b"%b%b%b" % (record[:start], text(value), record[end:])
    except (KeyError, ValueError, OverflowError):
        return None
    return record


# What can be changed in place is compared as it would be written, not by identity.


def _same_metadata(record: bytes, old: _Fields, new: _Fields) -> bool:
    before, after = old["metadata"], new["metadata"]
    if before is None or after is None:
        return before is after
    return _has(record, b'\n      "metadata": ', after, "      ", b"\n    }")


def _same_details(details: bytes, old: _Fields, new: _Fields) -> bool:
    before, after = old["details"], new["details"]
    if before is not after or after.model_extra:
        return False
    reference = after.terminal_ref
    opening = b'\n        "terminalRef": '
    return reference is None or _has(details, opening, reference, "        ", b"\n      }")


def _has(written: bytes, opening: bytes, tree: Any, margin: str, closing: bytes) -> bool:
    try:
        line = opening + dumps(tree, margin).encode()
    except UNENCODABLE:
        return False
    end = written.find(line) + len(line)
    return end >= len(line) and written.startswith((b",\n", closing), end)
