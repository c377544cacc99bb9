"""A file's content and its checksum, at the cost of what has changed since the last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from frith_json._pace import Pace

PIECE = 1 << 13
"""Bytes at least in each piece but the last: fewer cost more to tell apart than to hash."""
_BLOCK = 32
"""Lines that are joined at once."""


def in_pieces(parts: Iterable[bytes], least: int = PIECE) -> list[bytes]:
    """Return the same bytes in pieces of at least ``least`` bytes, but for the last."""
    pieces: list[bytes] = []
    gathered: list[bytes] = []
    size = 0
    pace = Pace()
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= least:
            pieces.append(b"".join(gathered))
            gathered, size = [], 0
            pace.keep()
    return [*pieces, b"".join(gathered)]


class Lines:
    """Lists of lines of which few change: what is as it was before is not joined again."""

    def __init__(self) -> None:
        self._blocks: list[tuple[list[bytes], bytes]] = []

    def joined(self, lines: list[bytes], separator: bytes) -> Iterator[bytes]:
        """Yield ``lines`` put together, each after a ``separator``, in blocks."""
        pace = Pace()
        for number, start in enumerate(range(0, len(lines), _BLOCK)):
            some = lines[start : start + _BLOCK]
            if number == len(self._blocks):
                self._blocks.append(([], b""))
            if self._blocks[number][0] != some:
                self._blocks[number] = some, separator + separator.join(some)
            yield self._blocks[number][1]
            pace.keep()
        del self._blocks[-(-len(lines) // _BLOCK) :]


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


class Written:
    """What was written last: what is written next is mostly the same."""

    def __init__(self) -> None:
        self.records = Lines()
        self.details = Lines()
        self.checksum = Checksum()
