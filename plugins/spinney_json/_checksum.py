"""The checksum over a file's content, at the cost of what has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from spinney_json._pace import Pace

PIECE = 1 << 16
"""Bytes at least in each piece but the last: so few keep other threads waiting for microseconds."""


def in_pieces(parts: Iterable[bytes]) -> list[bytes]:
    """Return the same bytes in pieces of at least :data:`PIECE`."""
    pieces: list[bytes] = []
    gathered: list[bytes] = []
    size = 0
    pace = Pace()
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= PIECE:
            pieces.append(b"".join(gathered))
            gathered, size = [], 0
            pace.keep()
    return [*pieces, b"".join(gathered)]


class Checksum:
    """SHA-256 of contents that begin alike: what is as it was before is not hashed again."""

    def __init__(self) -> None:
        self._pieces: Sequence[bytes] = ()
        self._states = [hashlib.sha256()]
        """The state before each piece."""

    def of(self, pieces: Sequence[bytes]) -> str:
        """Return the SHA-256 of ``pieces`` put together, in hexadecimal digits."""
        same = 0
        for before, now in zip(self._pieces, pieces, strict=False):
            if before != now:
                break
            same += 1
        del self._states[same + 1 :]
        state = self._states[same].copy()
        pace = Pace()
        for piece in pieces[same:]:
            state.update(piece)
            self._states.append(state.copy())
            pace.keep()
        self._pieces = pieces
        return state.hexdigest()
