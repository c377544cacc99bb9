"""Unix sockets without the module ``socket``, whose enumerations cost a quarter of the start."""

from __future__ import annotations

import os
import struct
from _socket import (
    AF_UNIX,
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    SCM_RIGHTS,
    SO_PEERCRED,
    SOCK_NONBLOCK,
    SOCK_SEQPACKET,
    SOL_SOCKET,
    socketpair,
)
from _socket import socket as Socket  # noqa: N812 - as a type it is a name like any other

__all__ = [
    "Socket",
    "accept",
    "at",
    "is_ours",
    "listening",
    "peer",
    "receive_fds",
    "send_fds",
    "socketpair",
]

_CREDENTIALS = struct.Struct("3i")


def at(directory: int, name: str) -> str:
    """Return a path to ``name`` in the directory that fits into a socket's address."""
    return f"/proc/self/fd/{directory}/{name}"


def listening(path: str, backlog: int) -> Socket:
    """Return a non-blocking socket that listens at ``path``.

    Raises:
        OSError: as bind(2) and listen(2).
    """
    made = Socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK)
    try:
        made.bind(path)
        made.listen(backlog)
    except BaseException:
        made.close()
        raise
    return made


def accept(listener: Socket) -> Socket:
    """Return the next connection; see accept(2).

    Raises:
        OSError: as accept(2); ``BlockingIOError`` if there is none.
    """
    fd, _ = listener._accept()  # type: ignore[attr-defined]  # typeshed has it as private
    return Socket(fileno=fd)


def peer(connection: Socket) -> tuple[int, int]:
    """Return process and user id of the other end: SO_PEERCRED, unix(7).

    The process id is 0 if it is in another pid namespace.
    """
    found = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(found)
    return pid, uid


def is_ours(connection: Socket) -> bool:
    """Return whether the same user is at the other end."""
    return peer(connection)[1] == os.geteuid()


def send_fds(connection: Socket, packet: bytes, *fds: int) -> None:
    """Send ``packet`` with descriptors; see cmsg(3).

    Raises:
        OSError: as sendmsg(2).
    """
    connection.sendmsg([packet], [(SOL_SOCKET, SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))])


def receive_fds(connection: Socket, count: int) -> tuple[int, ...]:
    """Return the ``count`` descriptors of the next packet; none if the other end has hung up.

    Raises:
        OSError: as recvmsg(2).
    """
    layout = struct.Struct(f"{count}i")
    _, control, _, _ = connection.recvmsg(1, CMSG_SPACE(layout.size), MSG_CMSG_CLOEXEC)
    return next((layout.unpack(data) for _, _, data in control if len(data) == layout.size), ())
