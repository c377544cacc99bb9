"""What keepers and hosts say to each other, in packets of a Unix socket (``SOCK_SEQPACKET``).

A packet is a JSON object, or for input, which is sent most often, a binary one. Each request
carries a number, ``seq``, which its answer repeats. A field or request that one side does not know
it passes over or refuses; what changes their meaning raises :data:`VERSION`.
"""

from __future__ import annotations

import json
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
"""Of the protocol. Both sides say which ones they speak; the highest common one counts."""
VERSIONS = (1,)
LARGEST = 64 * 1024
"""Bytes of a packet at most."""
INPUT = 32 * 1024
"""Bytes of input in one packet at most; more follows in others with the same number."""
MOST_INPUT = 8 * 1024 * 1024
"""Bytes of one write at most; and of those of one host that wait, until no more is read from it."""

_WRITE, _WRITTEN, _HOLD = b"W", b"w", b"H"
_INPUT = struct.Struct("<xI?")
_COUNTS = struct.Struct("<xIII")
_OFFSET = struct.Struct("<xq")

Message = dict[str, "Any"]


class RubbishError(Exception):
    """A packet that means nothing."""


def write(seq: int, data: bytes | memoryview, *, more: bool = False) -> bytes:
    """Ask that ``data`` be written to the terminal; ``more`` of it follows in another packet."""
    return _tagged(_WRITE, _INPUT.pack(seq, more)) + data


def written(seq: int, count: int, longest: int = 0) -> bytes:
    """Answer that ``count`` bytes were written; ``longest`` is that of a line too long."""
    return _tagged(_WRITTEN, _COUNTS.pack(seq, count, longest))


def hold(offset: int) -> bytes:
    """Ask that nothing from ``offset`` on be overwritten; -1 for no such wish any more."""
    return _tagged(_HOLD, _OFFSET.pack(offset))


def message(**fields: Any) -> bytes:
    """Return the packet of a JSON object."""
    return json.dumps(fields).encode()


def parse(packet: bytes) -> Message:
    """Return what ``packet`` says; of a binary one the fields by name, its kind as ``do``.

    Raises:
        RubbishError: it means nothing.
    """
    try:
        if packet.startswith(_WRITE):
            seq, more = _INPUT.unpack_from(packet)
            return {"do": "write", "seq": seq, "more": more, "data": packet[_INPUT.size :]}
        if packet.startswith(_WRITTEN):
            seq, count, longest = _COUNTS.unpack(packet)
            return {"seq": seq, "written": count, "longest": longest}
        if packet.startswith(_HOLD):
            return {"do": "hold", "at": _OFFSET.unpack(packet)[0]}
        said = json.loads(packet)
    except (ValueError, struct.error, RecursionError) as error:
        raise RubbishError(str(error)) from error
    if not isinstance(said, dict):
        raise RubbishError("no object")
    return said


def _tagged(tag: bytes, packed: bytes) -> bytes:
    return tag + packed[1:]
