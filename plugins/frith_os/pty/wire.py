"""The messages between keepers and hosts, in packets of a Unix socket (``SOCK_SEQPACKET``).

A packet is a JSON object, or for input, which is sent most often, a binary one. Each request
has a number, ``seq``, which its answer repeats. A side ignores fields and refuses requests that
it does not know; a change of their meaning is another version of :data:`VERSIONS`.
"""

from __future__ import annotations

import fcntl
import json
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROTOCOL = "frith-keeper"
"""Name of the protocol, for those who ask a host for it."""
VERSIONS = (1,)
"""Of the protocol. Each side sends those that it speaks; the highest common one is used."""
LARGEST = 64 * 1024
"""Bytes of a packet at most."""
INPUT = 32 * 1024
"""Bytes of input in one packet at most; more follows in others with the same number."""
MOST_INPUT = 8 * 1024 * 1024
"""Bytes of one write at most; and of the waiting writes of one host, until it is not read."""

_WRITE, _WRITTEN, _HOLD = b"W", b"w", b"H"
_INPUT = struct.Struct("<cI?")
_COUNTS = struct.Struct("<cIII")
_OFFSET = struct.Struct("<cq")

Message = dict[str, "Any"]


def take(request: int) -> None:
    """Take the request in the file in memory ``request``: a keeper to serve it, or a host back.

    Raises:
        PermissionError: the other one has.
    """
    fcntl.fcntl(request, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)


def write(seq: int, data: bytes | memoryview, *, more: bool = False) -> bytes:
    """Ask to write ``data`` to the terminal; ``more`` of it follows in another packet."""
    return _INPUT.pack(_WRITE, seq, more) + data


def written(seq: int, count: int, longest: int = 0) -> bytes:
    """Answer that ``count`` bytes were written; ``longest`` is that of a line too long."""
    return _COUNTS.pack(_WRITTEN, seq, count, longest)


def hold(offset: int) -> bytes:
    """Ask to overwrite nothing from ``offset`` on; -1 withdraws that."""
    return _OFFSET.pack(_HOLD, offset)


def message(**fields: Any) -> bytes:
    """Return the packet of a JSON object."""
    return json.dumps(fields).encode()


def parse(packet: bytes) -> Message:
    """Return the fields of ``packet``; of a binary one its kind as ``do``.

    Raises:
        ValueError: it is not a message.
    """
    try:
        if packet.startswith(_WRITE):
            _, seq, more = _INPUT.unpack_from(packet)
            return {"do": "write", "seq": seq, "more": more, "data": packet[_INPUT.size :]}
        if packet.startswith(_WRITTEN):
            _, seq, count, longest = _COUNTS.unpack(packet)
            return {"seq": seq, "written": count, "longest": longest}
        if packet.startswith(_HOLD):
            return {"do": "hold", "at": _OFFSET.unpack(packet)[1]}
        said = json.loads(packet)
    except (struct.error, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(said, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - as for other packets
    return said
