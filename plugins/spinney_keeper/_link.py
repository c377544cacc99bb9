"""One connection to a keeper: requests and their answers, and what it tells by itself."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from anyio import ClosedResourceError, Lock, move_on_after, notify_closing, wait_writable

from spinney_keeper._errors import KeeperError, KeeperLostError
from spinney_keeper.keeper import wire
from spinney_unix.readiness import Latch, Readiness

_PACKETS = 16
"""Packets that are taken in one turn of the event loop."""


class _Answer:
    __slots__ = ("came", "said")

    def __init__(self) -> None:
        self.came = Latch()
        self.said: wire.Message | None = None


class Link:
    """Speaks to one keeper that has been greeted."""

    def __init__(
        self,
        connection: socket.socket,
        readiness: Readiness,
        answer_within: float,
        wake: Callable[[], object],
        heard: Callable[[wire.Message], None],
        lost: Callable[[], None],
    ) -> None:
        """Take charge of ``connection``.

        Args:
            connection: to the keeper.
            readiness: watches it.
            answer_within: seconds that the keeper may take.
            wake: called if it does not; then it may take as long again.
            heard: called with what the keeper tells by itself.
            lost: called once if the connection ends.
        """
        connection.setblocking(False)
        self.is_open = True
        self._socket = connection
        self._readiness = readiness
        self._answer_within = answer_within
        self._wake = wake
        self._heard = heard
        self._lost = lost
        self._seq = 0
        self._answers: dict[int, _Answer] = {}
        self._sending: Lock | None = None
        readiness.watch(connection.fileno(), self._receive)

    async def ask(self, what: str, **fields: object) -> wire.Message:
        """Ask the keeper to do something; return its answer.

        Raises:
            KeeperLostError: it is gone.
            KeeperError: it does not answer in time.
        """
        seq = self._next()
        return await self._asked(seq, [wire.message(do=what, seq=seq, **fields)], 0)

    async def write(self, data: bytes, within: float) -> wire.Message:
        """Have ``data`` written to the terminal, which may take ``within`` seconds.

        Raises:
            KeeperLostError, KeeperError: see :meth:`ask`.
        """
        seq, size = self._next(), wire.INPUT
        if len(data) <= size:
            packets = [wire.write(seq, data)]
        else:
            packets = [
                wire.write(seq, data[start : start + size], more=start + size < len(data))
                for start in range(0, len(data), size)
            ]
        return await self._asked(seq, packets, within)

    def tell(self, packet: bytes) -> None:
        """Send a packet that has no answer; it is lost if the keeper does not read."""
        with suppress(OSError):
            self._socket.send(packet)

    def close(self) -> None:
        """End the connection; whoever waits for an answer is told that the keeper is lost."""
        if self.is_open:
            self.is_open = False
            self._readiness.unwatch(self._socket.fileno())
            notify_closing(self._socket)
            self._socket.close()
            for answer in self._answers.values():
                answer.came.set()

    def _next(self) -> int:
        self._seq = self._seq % 0xFFFFFFFF + 1
        return self._seq

    async def _asked(self, seq: int, packets: list[bytes], within: float) -> wire.Message:
        self._check_open()
        answer = self._answers[seq] = _Answer()
        try:
            with move_on_after(self._answer_within + within):
                await self._send(packets)
                await answer.came.wait()
            if answer.said is None and self.is_open:
                self._wake()  # somebody may have stopped it
                with move_on_after(self._answer_within):
                    await answer.came.wait()
        finally:
            del self._answers[seq]
        if answer.said is not None:
            return answer.said
        self._check_open()
        raise KeeperError(
            f"The keeper of the process does not answer within {self._answer_within:g} seconds; "
            "the machine may be very busy. Try again."
        )

    def _check_open(self) -> None:
        if not self.is_open:
            raise KeeperLostError("The keeper of the process is gone; resume its session.")

    async def _send(self, packets: list[bytes]) -> None:
        is_free = self._sending is None or not self._sending.locked()
        if len(packets) == 1 and is_free and self._put(packets[0]):
            return
        if self._sending is None:
            self._sending = Lock(fast_acquire=True)
        async with self._sending:
            for packet in packets:
                while self.is_open and not self._put(packet):
                    with suppress(ClosedResourceError):
                        await wait_writable(self._socket)

    def _put(self, packet: bytes) -> bool:
        if self.is_open:
            try:
                self._socket.send(packet)
            except BlockingIOError:
                return False
            except OSError:
                self._end()
        return True

    def _receive(self) -> None:
        for _ in range(_PACKETS):
            if not self.is_open:
                return
            try:
                packet = self._socket.recv(wire.LARGEST)
                said = wire.parse(packet) if packet else None
            except BlockingIOError:
                return
            except (OSError, wire.RubbishError):
                said = None
            if said is None:
                self._end()
                return
            seq = said.get("seq")
            if seq is None:
                self._heard(said)
            elif (answer := self._answers.get(seq)) is not None:
                answer.said = said
                answer.came.set()

    def _end(self) -> None:
        self.close()
        self._lost()
