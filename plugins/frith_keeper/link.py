"""The connection of a host to a keeper: the greeting, requests, their answers, and events."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

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
from pydantic import BaseModel, Field, ValidationError
from pydantic.alias_generators import to_camel

from frith.errors import TerminalError
from frith.model import ExitStatus
from frith_os.pty import wire
from frith_os.pty.ring import MappedRing
from frith_terminals.readiness import Bell, Readiness

_Count = Annotated[int, Field(ge=0)]
_Cells = Annotated[int, Field(ge=1, le=0xFFFF)]
Sizes = Annotated[list[tuple[_Count, _Cells, _Cells]], Field(min_length=1)]
"""Offset, rows and columns of each size of the window."""


class KeeperError(TerminalError):
    """A keeper cannot be reached, or does not answer as it should."""

    code = "KEEPER_FAILED"


class KeeperLostError(KeeperError):
    """The keeper has ended, and with it the terminal of its process."""

    code = "KEEPER_LOST"


class RefusedError(KeeperError):
    """The keeper refuses to serve; :attr:`answer` has the reason."""

    def __init__(self, answer: wire.Message) -> None:
        super().__init__(f"The keeper refuses: {answer['error']}.")
        self.answer = answer


class Ended(BaseModel, alias_generator=to_camel):
    """How a process ended, as its keeper tells hosts, and leaves it in a file."""

    exit: ExitStatus
    shut_down: bool = False
    """Whether the keeper was told to end before that."""


class Greeting(BaseModel, alias_generator=to_camel):
    """The answer of a keeper to the first request; other fields are ignored."""

    version: int
    session: str
    terminal: str
    keeper: int
    keeper_start: str
    pid: int
    start_time: str
    tty: str
    capacity: int
    sizes: Sizes
    recent: _Count
    """The offset of the output of the last second, whose queries are still answered."""
    exit: ExitStatus | None
    shut_down: bool = False
    drained: bool


@dataclass(frozen=True, slots=True)
class Greeted:
    """A keeper that has answered; the holder owns the descriptors."""

    connection: socket.socket
    greeting: Greeting
    ring: MappedRing
    bell: int

    def close(self) -> None:
        """Release everything."""
        self.connection.close()
        self.ring.detach()
        os.close(self.bell)


def greet(connection: socket.socket, within: float) -> Greeted:
    """Return the keeper that was asked; blocks for ``within`` seconds at most.

    Raises:
        KeeperError, OSError: see :func:`receive_greeting`; ``connection`` is closed then.
    """
    try:
        connection.settimeout(within)
        return receive_greeting(connection)
    except BaseException:
        abandon(connection)
        raise


def send_hello(connection: socket.socket) -> None:
    """Ask the keeper at the other end for a greeting."""
    connection.send(wire.message(do="hello", seq=0, versions=wire.VERSIONS))


def abandon(connection: socket.socket) -> None:
    """Close a connection without a greeting; a keeper that we have just started ends then."""
    with suppress(OSError):
        connection.send(wire.message(do="abandon"))
    connection.close()


def receive_greeting(connection: socket.socket) -> Greeted:
    """Return the keeper that was asked; to be called when ``connection`` is readable.

    Raises:
        RefusedError: it refuses to serve us.
        KeeperError: its answer is invalid.
        TimeoutError: it does not answer.
        ConnectionError: it has left meanwhile.
        OSError: no descriptors or memory are left.
    """
    packet, fds, _, _ = socket.recv_fds(connection, wire.LARGEST, 2, socket.MSG_CMSG_CLOEXEC)
    try:
        greeted = _parse(connection, packet, fds)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    os.close(fds[0])  # it is mapped
    return greeted


def _parse(connection: socket.socket, packet: bytes, fds: list[int]) -> Greeted:
    if not packet:
        raise ConnectionResetError(errno.ECONNRESET, "it has left")
    try:
        answer = wire.parse(packet)
        if "error" in answer:
            raise RefusedError(answer)
        if answer.get("version") not in wire.VERSIONS or len(fds) != 2:
            raise KeeperError("The keeper has a version that this host does not know.")
        greeting = Greeting.model_validate(answer)
        return Greeted(connection, greeting, MappedRing(fds[0], greeting.capacity), fds[1])
    except ValidationError as error:
        reason = ", ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
        raise KeeperError(f"The keeper sent an invalid reply: {reason}.") from error
    except ValueError as error:
        raise KeeperError(f"The keeper sent an invalid reply: {error}.") from error


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
        self._sending = Lock(fast_acquire=True)
        self._latest: bytes | None = None
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
        packets = [
            wire.write(seq, data[start : start + size], more=start + size < len(data))
            for start in range(0, len(data) or 1, size)
        ]
        return await self._asked(seq, packets, within)

    def tell(self, packet: bytes) -> None:
        """Send a packet that has no answer; of those that cannot be sent now, only the latest."""
        waiting, self._latest = self._latest, packet
        if not self._send_latest() and waiting is None:  # otherwise a task waits to send it
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
        if len(packets) == 1 and not self._sending.locked() and self._put(packets[0]):
            return
        async with self._sending:
            for packet in packets:
                while self.is_open and not answer.is_late and not self._put(packet):
                    await self._until_writable()

    async def _send_latest_later(self) -> None:
        # If it were cancelled with the caller, the keeper would continue to delay the process.
        with CancelScope(shield=True):
            async with self._sending:
                while not self._send_latest():
                    await self._until_writable()

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
        except (OSError, ValueError):
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
