"""The greeting between a host and a keeper, with the descriptors that come with it."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType

from frith_keeper.errors import KeeperError
from frith_keeper.keeper.hosts import is_ours
from frith_os import keeperwire as wire
from frith_os.pty.ring import MappedRing

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
"""The fields of the answer; others are ignored."""


@dataclass(frozen=True, slots=True)
class Greeted:
    """A keeper that has answered; the holder owns the descriptors."""

    connection: socket.socket
    fields: wire.Message
    ring: MappedRing
    bell: int

    def close(self) -> None:
        """Release everything."""
        self.connection.close()
        self.ring.detach()
        os.close(self.bell)


class RefusedError(Exception):
    """The keeper refuses; :attr:`answer` has the reason."""

    def __init__(self, answer: wire.Message) -> None:
        super().__init__(str(answer))
        self.answer = answer


def greet(connection: socket.socket, within: float) -> Greeted:
    """Greet the keeper at the other end; blocks until it has answered.

    Args:
        connection: to it; closed if that fails.
        within: seconds until it must have answered.

    Raises:
        RefusedError, KeeperError: see :func:`receive_greeting`.
        TimeoutError: it does not answer.
    """
    connection.settimeout(within)
    send_hello(connection)
    return receive_greeting(connection)


def send_hello(connection: socket.socket) -> None:
    """Ask the keeper at the other end for a greeting.

    Raises:
        ConnectionError: it has left meanwhile.
        KeeperError: it is another user's. The connection is closed then, as in all cases.
    """
    try:
        if is_ours(connection):
            connection.send(wire.message(do="hello", seq=0, versions=wire.VERSIONS))
            return
        reason = "The keeper's socket belongs to another user; nothing was sent to it."
    except ConnectionError:
        connection.close()
        raise
    except OSError as error:
        reason = f"Could not write to the keeper: {error}."
    connection.close()
    raise KeeperError(reason)


def receive_greeting(connection: socket.socket) -> Greeted:
    """Return the keeper that was asked; to be called when ``connection`` is readable.

    Raises:
        RefusedError: it refuses to serve us.
        TimeoutError: it does not answer.
        ConnectionError: it has left meanwhile.
        KeeperError: its answer is invalid. The connection is closed then, as in all cases.
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
            raise KeeperError(f"Could not read from the keeper: {error}.") from error
        return _parse(connection, packet, fds)
    except BaseException:
        with suppress(OSError):  # otherwise a keeper that we have just started keeps its command
            connection.send(wire.message(do="abandon"))
        connection.close()
        for fd in fds:
            with suppress(OSError):
                os.close(fd)
        raise


def _parse(connection: socket.socket, packet: bytes, fds: list[int]) -> Greeted:
    if not packet:
        raise ConnectionResetError(errno.ECONNRESET, "it has left")
    try:
        answer = wire.parse(packet)
    except wire.InvalidMessageError as error:
        raise KeeperError(f"The keeper sent an invalid reply: {error}.") from error
    if "error" in answer:
        raise RefusedError(answer)
    try:
        if answer["version"] not in wire.VERSIONS or len(fds) != 2:
            raise KeeperError("The keeper has a version that this host does not know.")
        _check(answer)
        ring = MappedRing(fds[0], answer["capacity"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise KeeperError(f"The keeper sent an invalid reply: {error!r}.") from error
    os.close(fds[0])
    return Greeted(connection, answer, ring, fds.pop())


def _check(answer: wire.Message) -> None:
    for name, kind in _FIELDS.items():
        if not isinstance(answer[name], kind):
            raise TypeError(f"{name} is {answer[name]!r}")
    if not answer["sizes"] or any(len(size) != 3 for size in answer["sizes"]):
        raise ValueError(f"sizes is {answer['sizes']!r}")
