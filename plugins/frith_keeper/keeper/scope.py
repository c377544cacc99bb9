"""A systemd scope of its own for a keeper, so that it is not killed with its starter's group.

The manager is asked over its own socket, as `systemctl` does: `systemd-run` starts processes and
moves none, and `busctl` needs a message bus and names the process by its id, which may be another
one's in the manager's pid namespace. See org.freedesktop.systemd1(5) and
https://dbus.freedesktop.org/doc/dbus-specification.html.
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_STREAM
from contextlib import contextmanager, suppress
from struct import pack, unpack_from
from time import monotonic

from frith_os.cgroups import own_path

from .sockets import Socket, peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

WITHIN = 3.0
"""Seconds that the manager may take, which has many to move at times; then the keeper starts where
it is."""
_ROOT = 0
_HEADER = 16
"""Bytes of a message before its first field."""
_CALL, _ERROR = 1, 3


def enter_scope(manager: str, name: str) -> bool:
    """Have the manager that listens at ``manager`` move this process into a new scope.

    Returns whether it has: it may refuse, or be hung.
    """
    with suppress(OSError, StopIteration):
        before, deadline = own_path(), monotonic() + WITHIN
        connection = Socket(AF_UNIX, SOCK_STREAM)
        try:
            connection.settimeout(WITHIN)
            connection.connect(manager)
            if peer(connection)[1] not in (_ROOT, os.geteuid()):
                return False
            user = str(os.geteuid()).encode().hex().encode()
            connection.sendall(b"\0AUTH EXTERNAL " + user + b"\r\nBEGIN\r\n" + _request(name))
            received = b""
            while own_path() == before and not _is_refused(received):
                connection.settimeout(max(0.001, deadline - monotonic()))
                if not (more := connection.recv(65536)):
                    break
                received += more
        finally:
            connection.close()
        return own_path() != before
    return False


class _Data(bytearray):
    """Data in the encoding of D-Bus, little-endian; each value at a multiple of its size."""

    def align(self, size: int) -> None:
        self.extend(bytes(-len(self) % size))

    def number(self, value: int) -> None:
        self.align(4)
        self.extend(pack("<I", value))

    def text(self, value: str) -> None:
        self.number(len(value))
        self.extend(value.encode("ascii") + b"\0")

    def kind(self, signature: str) -> None:
        self.append(len(signature))
        self.extend(signature.encode("ascii") + b"\0")

    @contextmanager
    def array(self, alignment: int) -> Iterator[None]:
        """Write the elements of an array inside, and then the bytes that they take."""
        self.number(0)
        size_at = len(self) - 4
        self.align(alignment)
        start = len(self)
        yield
        self[size_at : size_at + 4] = pack("<I", len(self) - start)


def _request(name: str) -> bytes:
    """Return the call of ``StartTransientUnit`` for a scope with the process that sends it."""
    body = _Data()
    body.text(name)
    body.text("fail")
    with body.array(8):
        for key, value in (
            ("Description", "Keeper of a terminal of frith"),
            ("CollectMode", "inactive-or-failed"),
        ):
            body.align(8)
            body.text(key)
            body.kind("s")
            body.text(value)
        # A scope that its user may divide is not stopped when one process runs out of memory.
        body.align(8)
        body.text("Delegate")
        body.kind("b")
        body.number(True)
        body.align(8)
        body.text("PIDs")
        body.kind("au")
        with body.array(4):
            body.number(0)  # the sender, whatever its id in the manager's pid namespace
    with body.array(8):  # no auxiliary units
        pass
    head = _Data(pack("<cBBBII", b"l", _CALL, 0, 1, len(body), 1))
    with head.array(8):
        for code, kind, value in (
            (1, "o", "/org/freedesktop/systemd1"),
            (2, "s", "org.freedesktop.systemd1.Manager"),
            (3, "s", "StartTransientUnit"),
        ):
            head.align(8)
            head.append(code)
            head.kind(kind)
            head.text(value)
        head.align(8)
        head.append(8)
        head.kind("g")
        head.kind("ssa(sv)a(sa(sv))")
    head.align(8)
    return bytes(head + body)


def _is_refused(received: bytes) -> bool:
    """Return whether one of the messages after the authentication is an error."""
    _, _, rest = received.partition(b"\r\n")
    while len(rest) >= _HEADER:
        if rest[1] == _ERROR:
            return True
        size, _, fields = unpack_from("<III", rest, 4)
        rest = rest[_HEADER + fields + -fields % 8 + size :]
    return received.startswith(b"REJECTED")
