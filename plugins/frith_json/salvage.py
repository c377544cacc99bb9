"""Damaged state files: reading the sessions that are intact, and keeping the files aside.

A file that may be the only copy of something is never removed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from frith.logs import log
from frith.model import Session
from frith_json.codec import read_session
from frith_json.numbers import decode_from
from frith_os import atomic

MOST_KEPT = 5
"""Beyond so many corrupt files, those that hold nothing of their own are removed."""

_SESSIONS = re.compile(r'"sessions"\s*:\s*\[')
_RECORDS = re.compile(r'"records"\s*:\s*(?=\{)')
_BETWEEN = re.compile(r"[\s,]*")
_RECORD = re.compile(r'\{(?=\s*"id"\s*:)')
"""Where a record begins after text that could not be read."""
_MARGIN = 500
"""To begin parsing costs as much as to parse so many characters."""
_EFFORT = 4
"""How many times its own length may be parsed in vain before the rest of a file is skipped."""


@dataclass(frozen=True, slots=True)
class Salvage:
    """Sessions found in damaged content."""

    sessions: tuple[Session, ...]
    """Of several with one id, the one that was active last."""
    complete: bool
    """Whether the list of sessions was read to its end without skipping anything."""


def salvage(data: bytes) -> Salvage:
    """Return every session that can be parsed from ``data``, whatever surrounds it."""
    text = data.decode(errors="surrogateescape")
    reader = _Reader(text)
    found: list[Session] = []
    start = _SESSIONS.search(text)
    position, complete = (start.end(), True) if start else (0, False)
    while True:
        position = _BETWEEN.match(text, position).end()  # type: ignore[union-attr]
        if start and text.startswith("]", position):
            again = _SESSIONS.search(text, position)
            if again is None:
                break
            position, complete = again.end(), False  # a second list, or text that looks like one
            continue
        session, position, skipped = reader.next(position)
        complete = complete and not skipped
        if session is None:
            break
        found.append(session)
    newest = {s.id: s for s in sorted(found, key=lambda s: s.last_activity)}  # at a tie the last
    return Salvage(tuple(newest[key] for key in dict.fromkeys(s.id for s in found)), complete)


class _Reader:
    """Reads sessions one after the other, in a time bounded by the length of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._details = _details(text)
        self._effort = _EFFORT * len(text)

    def next(self, position: int) -> tuple[Session | None, int, bool]:
        """Return the next session from ``position`` on, where it ends, whether text was skipped."""
        first = position
        while self._effort > 0:
            end = len(self._text)
            try:
                record, end = decode_from(self._text, position)
                return _session(record, self._details), end, position != first
            except JSONDecodeError as error:
                end = error.pos
            except ValueError:
                pass
            self._effort -= end - position + _MARGIN
            start = _RECORD.search(self._text, position + 1)
            if start is None:
                break
            position = start.start()
        return None, len(self._text), True


def _session(record: Any, details: dict[str, Any]) -> Session:
    if not isinstance(record, dict) or not isinstance(key := record.get("id"), str):
        raise ValueError("a session has an id")  # noqa: TRY004 - as for all that is unreadable
    try:
        return read_session(record, details.get(key, {}))[0]
    except ValueError:
        return read_session(record, {})[0]


def _details(text: str) -> dict[str, Any]:
    found = _RECORDS.search(text)
    try:
        tree = decode_from(text, found.end())[0] if found else {}
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}


def keep(target: str, content: bytes, why: str) -> str:
    """Give ``content``, which ``target`` has, a second name beside it.

    Args:
        why: part of that name, ``corrupt`` or ``before-1.0``.

    Returns:
        The path of the file that has the content; an earlier one if it has been kept before.

    Raises:
        OSError: it could not be kept; nothing may be replaced then.
    """
    digest = hashlib.sha256(content).hexdigest()[:16]
    for earlier in kept_files(target, why):
        if earlier.name.endswith(digest) and earlier.read_bytes() == content:
            return str(earlier)
    path = f"{target}.{why}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{digest}"
    try:
        os.link(target, path)
    except OSError:  # a file system without hard links, or one that protects them
        atomic.replace(path, [content])
    else:
        atomic.sync_directory(os.path.dirname(target))
    return path


def kept_files(target: str, why: str) -> list[Path]:
    """Return the files kept aside for ``target``, oldest first."""
    path = Path(target)
    prefix = f"{path.name}.{why}-"
    return sorted(entry for entry in path.parent.iterdir() if entry.name.startswith(prefix))


def prune(target: str, present: Collection[str]) -> None:
    """Remove the oldest corrupt files beyond some whose every session is ``present``."""
    try:
        corrupt = kept_files(target, "corrupt")
    except OSError as error:
        log.warning("kept_files_not_pruned", path=target, reason=str(error))
        return
    excess = len(corrupt) - MOST_KEPT
    for path in corrupt:
        if excess <= 0:
            return
        try:
            found = salvage(path.read_bytes())
            if found.complete and found.sessions and all(s.id in present for s in found.sessions):
                path.unlink()
                excess -= 1
        except OSError as error:
            log.warning("kept_file_not_pruned", path=str(path), reason=str(error))
