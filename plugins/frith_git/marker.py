"""The marker: a file in a worktree's administrative directory that records its sessions.

One JSON object with line breaks. Its first line is the SHA-256 of everything after that line::

    {"checksum": "…",
      "format": 1,
      "sessions": [{"state": "live", "session": {…}, "details": {…}}]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from frith.model import Session
from frith.ports import Marker, MarkerState
from frith_git.repository import read_bytes

NAME = "frith.json"
FORMAT = 1

_FIRST = b'{"checksum": "'
_FIRST_END = b'",\n'


class Trust(StrEnum):
    """Whether a marker can be used."""

    WHOLE = "whole"
    ABSENT = "absent"
    BROKEN = "broken"
    NEWER = "newer"
    """Written by a later version; must not be changed."""


@dataclass(frozen=True, slots=True)
class MarkerFile:
    """The content of a marker."""

    trust: Trust
    sessions: tuple[Marker, ...] = ()


def read_marker_file(admin: str) -> MarkerFile:
    """Return the marker in the administrative directory ``admin``.

    A marker of another user counts as broken, because the command in it would be run.
    """

    def is_trusted(found: os.stat_result) -> bool:
        return found.st_uid in (0, os.geteuid(), os.stat(admin).st_uid)

    content = read_bytes(f"{admin}/{NAME}", is_trusted=is_trusted)
    return MarkerFile(Trust.ABSENT) if content is None else decode(content)


def encode(sessions: Iterable[Marker]) -> bytes:
    """Return the content of a marker with ``sessions``."""
    document = {
        "format": FORMAT,
        "sessions": [
            {
                "state": found.state.value,
                "session": found.session.to_record(),
                "details": found.session.details.model_dump(
                    mode="json", by_alias=True, exclude_none=True
                ),
            }
            for found in sessions
        ],
    }
    rest = json.dumps(document, indent=2).removeprefix("{\n").encode() + b"\n"
    return _FIRST + _checksum(rest) + _FIRST_END + rest


def decode(content: bytes) -> MarkerFile:
    """Return the marker with ``content``; without sessions unless it is whole."""
    first, end, rest = content.partition(_FIRST_END)
    if not end or first != _FIRST + _checksum(rest):
        return MarkerFile(Trust.BROKEN)
    try:
        document = json.loads(content)
        if document["format"] > FORMAT:
            return MarkerFile(Trust.NEWER)
        return MarkerFile(Trust.WHOLE, tuple(map(_decoded, document["sessions"])))
    except (ValueError, KeyError, TypeError, ValidationError):
        return MarkerFile(Trust.BROKEN)


def _decoded(entry: dict[str, Any]) -> Marker:
    session = Session.model_validate({**entry["session"], "details": entry["details"]})
    return Marker(session, MarkerState(entry["state"]))


def _checksum(rest: bytes) -> bytes:
    return sha256(rest).hexdigest().encode()
