"""The first words between a host and a keeper, and what comes with them. Blocks."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType

from frith_keeper._errors import KeeperError
from frith_keeper.keeper import wire
from frith_keeper.keeper.hosts import is_ours
from frith_keeper.keeper.ring import MappedRing

_PID = struct.Struct("i")
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "session": str,
    "terminal": str,
    "keeper": int,
    "keeperStart": str,
    "pid": int,
    "startTime": str,
    "tty": str,
    "capacity": int,
    "sizes": list,
    "exit": (dict, NoneType),
    "drained": bool,
}
"""What a keeper says of itself; more than that is passed over."""


@dataclass(frozen=True, slots=True)
class Greeted:
    """A keeper that has said who it is; whoever has this owns the descriptors."""

    connection: socket.socket
    said: wire.Message
    ring: MappedRing
    bell: int

    def close(self) -> None:
        """Release everything."""
        self.connection.close()
        self.ring.detach()
        os.close(self.bell)


class RefusedError(Exception):
    """The keeper has said why it does not serve us; :attr:`said` is its answer."""

    def __init__(self, said: wire.Message) -> None:
        super().__init__(str(said))
        self.said = said


def greet(connection: socket.socket, within: float) -> Greeted:
    """Ask the keeper at the other end who it is; blocks until it has answered.

    Args:
        connection: to it; closed if that fails.
        within: seconds until it must have answered.

    Raises:
        RefusedError, KeeperError: see :func:`answered`.
        TimeoutError: it does not answer.
    """
    connection.settimeout(within)
    say_hello(connection)
    return answered(connection)


def say_hello(connection: socket.socket) -> None:
    """Ask the keeper at the other end who it is.

    Raises:
        ConnectionError: it has left meanwhile.
        KeeperError: it is another user's. The connection is closed then, as in all cases.
    """
    try:
        if is_ours(connection):
            connection.send(wire.message(do="hello", seq=0, versions=wire.VERSIONS))
            return
        reason = "The keeper's socket is another user's; nothing was sent to it."
    except ConnectionError:
        connection.close()
        raise
    except OSError as error:
        reason = f"The keeper does not listen: {error}."
    connection.close()
    raise KeeperError(reason)


def answered(connection: socket.socket) -> Greeted:
    """Return the keeper that was said hello to; to be called when ``connection`` is readable.

    Raises:
        RefusedError: it will not serve us.
        TimeoutError: it does not answer.
        ConnectionError: it has left meanwhile.
        KeeperError: what it says means nothing. The connection is closed then, as in all cases.
    """
    fds: list[int] = []
    try:
        try:
            packet, fds, _, _ = socket.recv_fds(
                connection, wire.LARGEST, 2, socket.MSG_CMSG_CLOEXEC
            )
        except (TimeoutError, ConnectionError):
            raise
        except OSError as error:
            raise KeeperError(f"The keeper does not speak: {error}.") from error
        return _understood(connection, packet, fds)
    except BaseException:
        with suppress(OSError):  # or a keeper that we have just started would keep its command
            connection.send(wire.message(do="abandon"))
        connection.close()
        for fd in fds:
            with suppress(OSError):
                os.close(fd)
        raise


def _understood(connection: socket.socket, packet: bytes, fds: list[int]) -> Greeted:
    if not packet:
        raise ConnectionResetError(errno.ECONNRESET, "it has left")
    try:
        said = wire.parse(packet)
    except wire.RubbishError as error:
        raise KeeperError(f"The keeper answers rubbish: {error}.") from error
    if "error" in said:
        raise RefusedError(said)
    try:
        if said["version"] not in wire.VERSIONS or len(fds) != 2:
            raise KeeperError("The keeper is of a version that this host does not know.")
        _check(said)
        ring = MappedRing(fds[0], said["capacity"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise KeeperError(f"The keeper's answer lacks something: {error!r}.") from error
    os.close(fds[0])
    return Greeted(connection, said, ring, fds.pop())


def _check(said: wire.Message) -> None:
    for name, kind in _FIELDS.items():
        if not isinstance(said[name], kind):
            raise TypeError(f"{name} is {said[name]!r}")
    if not said["sizes"] or any(len(size) != 3 for size in said["sizes"]):
        raise ValueError(f"sizes is {said['sizes']!r}")


def peer_of(connection: socket.socket) -> int:
    """Return the process id at the other end, 0 if it is in another pid namespace."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 3 * _PID.size)
    return int(_PID.unpack_from(said)[0])
