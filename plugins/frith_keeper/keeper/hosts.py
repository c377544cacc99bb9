"""The connection of one host to a keeper: packets, pending input, events that are not sent yet."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress

from frith_os.pty import wire

from .loop import READ, WRITE
from .sockets import Socket, send_fds

_MOST_UNSENT = 1000
"""Packets that wait for a host that does not read; beyond that it is disconnected."""
_buffer = memoryview(bytearray(wire.LARGEST))
"""For one packet; a new one for each would cost more than reading it."""


class Host:
    """One connection."""

    def __init__(self, connection: Socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Signalled when there is more output; the host has it, too."""
        self.is_greeted = False
        self.held: int | None = None
        """Nothing from there on may be overwritten."""
        self.viewers: set[str] = set()
        """Those whose window counts."""
        self.pending = 0
        """Cost in bytes of its writes that the command has not read yet."""
        self.is_gone = False
        self._input = bytearray()
        """The first packets of a write of which more follows, and its number."""
        self._input_of = 0
        self._unsent: deque[tuple[str, bytes]] = deque()

    @property
    def events(self) -> int:
        """The events to wait for.

        A host that writes faster than the command reads is not read, so it has to wait, in its
        turn, and the memory of the keeper is not filled.
        """
        reading = READ if self.pending < wire.MOST_INPUT else 0
        return reading | (WRITE if self._unsent else 0)

    def receive(self) -> wire.Message | None:
        """Return the next request, ``None`` if there is none now.

        An invalid one ends the connection.
        """
        try:
            try:
                count = self.socket.recv_into(_buffer)
            except ConnectionResetError:
                # It left without reading everything; its earlier requests can still be read.
                count = self.socket.recv_into(_buffer)
            if count:
                return wire.parse(bytes(_buffer[:count]))
        except BlockingIOError:
            return None
        except (OSError, ValueError):
            pass
        self.is_gone = True
        return None

    def gather(self, message: wire.Message) -> bytes | None:
        """Return the data of a write once its last packet has come, ``None`` before.

        Beyond the limit of a write, only enough is kept to show that it is too long.
        """
        if self._input_of != message["seq"]:  # a write that was begun and given up is not written
            self._input_of, self._input = message["seq"], bytearray()
        if len(self._input) <= wire.MOST_INPUT:
            self._input += message["data"]
        if message["more"]:
            return None
        data, self._input = bytes(self._input), bytearray()
        return data

    def greet(self, packet: bytes, ring: int) -> None:
        """Answer the first request, with the descriptors of the ring and the bell."""
        with suppress(OSError):
            send_fds(self.socket, packet, ring, self.bell)
            self.is_greeted = True
            return
        self.is_gone = True

    def send(self, packet: bytes, event: str = "") -> None:
        """Send ``packet``, later if the host does not read now; of an ``event`` the latest."""
        if event:  # otherwise a suspended host would be disconnected for what others do
            self._unsent = deque(waiting for waiting in self._unsent if waiting[0] != event)
        self._unsent.append((event, packet))
        self.send_unsent()

    def send_unsent(self) -> None:
        """Send waiting packets, as far as the host reads."""
        try:
            while self._unsent:
                self.socket.send(self._unsent[0][1])
                self._unsent.popleft()
        except BlockingIOError:
            self.is_gone = len(self._unsent) > _MOST_UNSENT
        except OSError:
            self.is_gone = True

    def ring(self) -> None:
        """Signal that there is more output."""
        with suppress(BlockingIOError):
            os.eventfd_write(self.bell, 1)

    def close(self) -> None:
        """Release its descriptors."""
        self.socket.close()
        os.close(self.bell)
