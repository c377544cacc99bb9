"""The messages of a host that reach a keeper."""

from __future__ import annotations

import socket

from frith_keeper.keeper.hosts import Host
from frith_keeper.keeper.sockets import Socket
from frith_os.pty import wire


def test_a_request_is_read_from_a_host_that_left_without_reading_everything() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    host = Host(Socket(fileno=ours.detach()))
    try:
        host.send(wire.message(event="exited"), "exited")
        theirs.send(wire.message(do="abandon"))
        theirs.close()
        assert host.receive() == {"do": "abandon"}
        assert not host.is_gone
        assert host.receive() is None
        assert host.is_gone
    finally:
        host.close()
