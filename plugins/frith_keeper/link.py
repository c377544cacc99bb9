"""One connection to a keeper: requests, their answers, and events."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from anyio import (
    CancelScope,
    ClosedResourceError,
    Lock,
    current_time,
    lowlevel,
    move_on_after,
    notify_closing,
    sleep_until,
    wait_writable,
)
from anyio.abc import TaskGroup

from frith_keeper.errors import KeeperError, KeeperLostError
from frith_os import keeperwire as wire
from frith_terminals.readiness import Bell, Readiness

_buffer = memoryview(bytearray(wire.LARGEST))
"""For one packet; a new one for each would cost more than reading it."""


class _Answer:
    __slots__ = ("bell", "deadline", "fields", "is_late", "is_reminded")

    def __init__(self, deadline: float) -> None:
        self.bell = Bell()
        self.fields: wire.Message | None = None
        self.deadline = deadline
        self.is_reminded = self.is_late = False


class Link:
    """The connection to a keeper that was greeted."""

    def __init__(
        self,
        connection: socket.socket,
        readiness: Readiness,
        tasks: TaskGroup,
        answer_within: float,
        wake: Callable[[], object],
        on_event: Callable[[wire.Message], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Take charge of ``connection``.

        Args:
            connection: to the keeper.
            readiness: watches it.
            tasks: where one task watches the time while answers are awaited.
            answer_within: seconds that the keeper may take.
            wake: called if it takes longer; then it may take as long again.
            on_event: called with each event of the keeper, from a callback of the event loop.
            on_lost: called once if the connection ends, in a task.
        """
        self._readiness = readiness
        self._answer_within = answer_within
        self._wake = wake
        self._on_event = on_event
        self._on_lost = on_lost
        self._seq = 0
        self._answers: dict[int, _Answer] = {}
        self._tasks = tasks
        self._timer: CancelScope | None = None
        self._sending: Lock | None = None
        self._latest: bytes | None = None
        self._is_sending_latest = False
        self.open(connection)

    def open(self, connection: socket.socket) -> None:
        """Use ``connection``, once the previous one is closed."""
        connection.setblocking(False)
        self.is_open = True
        self._socket = connection
        self._readiness.watch(connection.fileno(), self._receive)

    async def ask(self, request: str, **fields: object) -> wire.Message:
        """Ask the keeper to do something; return its answer.

        Raises:
            KeeperLostError: it is gone.
            KeeperError: it does not answer in time.
        """
        seq = self._next()
        return await self._asked(seq, [wire.message(do=request, seq=seq, **fields)], 0)

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
        """Send a packet that has no answer; of those that cannot be sent now, only the latest."""
        self._latest = packet
        if not self._send_latest() and not self._is_sending_latest:
            self._is_sending_latest = True
            self._tasks.start_soon(self._send_latest_later)

    def close(self) -> None:
        """End the connection; calls that wait for an answer raise :class:`KeeperLostError`."""
        if self.is_open:
            self.is_open = False
            self._readiness.unwatch(self._socket.fileno())
            notify_closing(self._socket)
            self._socket.close()
            for answer in self._answers.values():
                answer.bell.ring()
            if self._timer is not None:
                self._timer.cancel()

    def _next(self) -> int:
        self._seq = self._seq % 0xFFFFFFFF + 1
        return self._seq

    async def _asked(self, seq: int, packets: list[bytes], within: float) -> wire.Message:
        self._check_open()
        answer = _Answer(current_time() + self._answer_within + within)
        self._answers[seq] = answer
        if self._timer is None:
            self._timer = CancelScope(shield=True)
            self._tasks.start_soon(self._watch_time, self._timer)
        try:
            await self._send(packets, answer)
            while answer.fields is None and self.is_open and not answer.is_late:
                await answer.bell.wait()
        finally:
            del self._answers[seq]
        if answer.fields is not None:
            return answer.fields
        self._check_open()
        raise KeeperError(
            f"The keeper of the process does not answer within {self._answer_within:g} seconds; "
            "the machine may be very busy. Try again."
        )

    def _check_open(self) -> None:
        if not self.is_open:
            raise KeeperLostError(
                "The connection to the keeper of the process is lost. Try again; if the keeper is "
                "gone, resume the session."
            )

    async def _watch_time(self, scope: CancelScope) -> None:
        """Give up requests without an answer; a timer for each would cost more than the request."""
        with scope:
            while self._answers:
                first = min(self._answers.values(), key=lambda answer: answer.deadline)
                await sleep_until(first.deadline)
                for answer in self._answers.values():
                    if answer.deadline <= current_time():
                        self._remind(answer)
                await lowlevel.checkpoint()
        self._timer = None

    def _remind(self, answer: _Answer) -> None:
        if answer.is_reminded:
            answer.is_late = True
            answer.bell.ring()
        else:
            answer.is_reminded = True
            answer.deadline += self._answer_within
            with suppress(OSError):  # without descriptors it cannot be woken, and is late
                self._wake()  # it may have been stopped

    async def _send(self, packets: list[bytes], answer: _Answer) -> None:
        is_free = self._sending is None or not self._sending.locked()
        if len(packets) == 1 and is_free and self._put(packets[0]):
            return
        async with self._turn():
            for packet in packets:
                while self.is_open and not answer.is_late and not self._put(packet):
                    await self._until_writable()

    async def _send_latest_later(self) -> None:
        # If it were cancelled with the caller, the keeper would continue to delay the process.
        with CancelScope(shield=True):
            async with self._turn():
                while not self._send_latest():
                    await self._until_writable()
        self._is_sending_latest = False

    def _turn(self) -> Lock:
        if self._sending is None:
            self._sending = Lock(fast_acquire=True)
        return self._sending

    async def _until_writable(self) -> None:
        with move_on_after(self._answer_within), suppress(ClosedResourceError):
            await wait_writable(self._socket)

    def _send_latest(self) -> bool:
        if self._latest is not None:
            try:
                self._socket.send(self._latest)
            except BlockingIOError:
                return False
            except OSError:  # the keeper is gone; receiving shows it
                pass
            self._latest = None
        return True

    def _put(self, packet: bytes) -> bool:
        if self.is_open:
            try:
                if not self._send_latest():
                    return False
                self._socket.send(packet)
            except BlockingIOError:
                return False
            except OSError:
                self._end(self._socket)
        return True

    def _receive(self) -> None:
        # One message for each time it is readable: looking for more costs as much as one.
        try:
            count = self._socket.recv_into(_buffer)
            message = wire.parse(bytes(_buffer[:count])) if count else None
        except BlockingIOError:
            return
        except (OSError, wire.InvalidMessageError):
            message = None
        if message is None:
            ended = self._socket
            self._readiness.unwatch(ended.fileno())
            self._readiness.hand_over(lambda: self._end(ended))
            return
        seq = message.get("seq")
        if seq is None:
            self._on_event(message)
        elif (answer := self._answers.get(seq)) is not None:
            answer.fields = message
            answer.bell.ring()

    def _end(self, connection: socket.socket) -> None:
        if self.is_open and connection is self._socket:  # else it has ended already
            self.close()
            self._on_lost()
