"""The server of a keeper: accepts hosts, answers their requests, sends them events."""

from __future__ import annotations

import os
import termios
from functools import partial
from time import monotonic

from frith_os.processes import start_time
from frith_os.pty import wire
from frith_os.pty.windows import Windows

from .answers import Answers
from .claims import Claims
from .command import Command
from .home import Home
from .hosts import Host
from .loop import READ, Loop
from .sockets import Socket, accept, is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from frith_os.pty.input import Write

_PAUSE = 0.1
"""Seconds for which no host is accepted after that failed, mostly for want of descriptors."""
_WRITE_COST = 512
"""Bytes that a write costs beyond its data."""


class Server:
    """Serves any number of hosts."""

    def __init__(
        self, request: dict[str, Any], home: Home, command: Command, loop: Loop, first: Socket
    ) -> None:
        self._request = request
        self._home = home
        self._command = command
        self._loop = loop
        # This descriptor of the ring is read-only, also for the hosts that receive it.
        ring = f"/proc/self/fd/{command.output.ring.fd}"
        self._readable_ring = os.open(ring, os.O_RDONLY | os.O_CLOEXEC)
        self._windows = Windows(request["sizePolicy"])
        self._claims = Claims()
        self._answers = Answers(command, self._claims)
        self._hosts: list[Host] = []
        self._written: list[tuple[Host, bytes]] = []
        """Answers to writes, not sent yet."""
        self._rung = 0
        """The end of the output that hosts know of."""
        self._is_drained = False
        self.is_collected = False
        """Whether a host has recorded how the command ended."""
        self.is_abandoned = False
        """Whether the host that started us went without knowing us, so that no host does."""
        self.listen_at: float | None = None
        """When to accept hosts again."""
        self.listen()
        self._first = self._add(first)

    @property
    def is_known(self) -> bool:
        """Whether the host that started us knows of us."""
        return self._first.is_greeted

    def listen(self) -> None:
        """Accept hosts."""
        self.listen_at = None
        self._loop.watch(self._home.socket.fileno(), READ, self._accept)

    def listen_again(self) -> None:
        """Accept hosts on a new socket."""
        self._loop.forget(self._home.socket.fileno())
        self._home.listen_again()
        self.listen()

    def ring(self) -> None:
        """Signal hosts that there is more output, if there is."""
        end = self._command.output.ring.end
        if end > self._rung:
            self._rung = end
            self._claims.came(end)
            for host in self._hosts:
                host.ring()
            self._answer_queries()

    def _answer_queries(self) -> None:
        is_alone = self.is_known and not any(host.is_greeted for host in self._hosts)
        if is_alone and self._command.exit is None:
            self._answers.answer()

    def exited(self) -> None:
        """Tell hosts how the command ended."""
        command = self._command
        self._tell_all(event="exited", exit=command.exit, shutDown=command.was_shut_down)

    def drained(self) -> None:
        """Tell hosts that all output is in the ring."""
        self._is_drained = True
        self.ring()
        self._tell_all(event="drained")

    def answer_writes(self) -> None:
        """Answer writes; after the output that followed them, so that the host wakes up once."""
        if self._written:
            self._command.read()  # an echo, mostly
        self.ring()
        while self._written:
            host, packet = self._written.pop()
            if not host.is_gone:
                host.send(packet)
                self._watch(host)

    def remove_gone(self) -> None:
        """Forget hosts that have disconnected."""
        for host in [host for host in self._hosts if host.is_gone]:
            self._remove(host)

    def _accept(self) -> None:
        try:
            connection = accept(self._home.socket)
            if is_ours(connection):
                self._add(connection)
            else:
                connection.close()
        except BlockingIOError:
            return
        except OSError:
            self._loop.forget(self._home.socket.fileno())
            self.listen_at = monotonic() + _PAUSE

    def _add(self, connection: Socket) -> Host:
        host = Host(connection)
        self._hosts.append(host)
        self._watch(host)
        return host

    def _watch(self, host: Host) -> None:
        if not host.is_gone:
            self._loop.watch(host.socket.fileno(), host.events, partial(self._serve, host))

    def _remove(self, host: Host) -> None:
        self.is_abandoned |= host is self._first and not host.is_greeted
        self._hosts.remove(host)
        self._loop.forget(host.socket.fileno())
        host.close()
        self._hold()
        self._fit(self._windows.remove(*((host, viewer) for viewer in host.viewers)))
        self._answer_queries()
        if host.is_greeted:
            self._tell_all(event="departed")

    def _serve(self, host: Host) -> None:
        host.send_unsent()
        # One request for each time it is readable: looking for more costs as much as serving one.
        message = host.receive()
        if message is not None:
            self._handle(host, message)
        self._watch(host)

    def _handle(self, host: Host, message: wire.Message) -> None:
        try:
            if not host.is_greeted:
                self._greet(host, message)
                return
            if message.get("do") == "write":
                self._add_input(host, message)
                return
            answer = self._answer(host, message)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            answer = {"error": "invalid", "message": repr(error)}
        if "seq" in message:
            host.send(wire.message(seq=message["seq"], **answer))

    def _greet(self, host: Host, message: wire.Message) -> None:
        spoken = message.get("versions")
        common = set(spoken if isinstance(spoken, list) else ()) & set(wire.VERSIONS)
        if message.get("do") != "hello" or not common:
            host.send(wire.message(seq=message.get("seq"), error="version", versions=wire.VERSIONS))
            host.is_gone = True
            return
        host.greet(
            wire.message(
                seq=message.get("seq"),
                version=max(common),
                session=self._request["session"],
                terminal=self._request["terminal"],
                keeper=os.getpid(),
                keeperStart=start_time(os.getpid()),
                pid=self._command.child.pid,
                startTime=self._command.start_time,
                tty=self._command.tty,
                capacity=self._command.output.ring.capacity,
                sizes=self._command.output.sizes,
                recent=self._claims.recent,
                exit=self._command.exit,
                shutDown=self._command.was_shut_down,
                drained=self._is_drained,
            ),
            self._readable_ring,
        )

    def _answer(self, host: Host, message: wire.Message) -> wire.Message:
        request = message.get("do")
        if request == "hold":
            return self._hold_for(host, int(message["at"]))
        if request == "resize":
            viewer, size = message["viewer"], (_cells(message["rows"]), _cells(message["columns"]))
            host.viewers.add(viewer)
            self._fit(self._windows.add((host, viewer), size))
        elif request == "leave":
            host.viewers.discard(message["viewer"])
            self._fit(self._windows.remove((host, message["viewer"])))
        elif request == "claim":
            queries = [int(at) for at in message["queries"]]
            return {"yours": self._claims.claim(host, queries, self._windows.owner)}
        elif request == "answer":
            if self._claims.answers(host, int(message["query"])):
                self._answers.write(str(message["answer"]).encode())
        elif request == "signal":
            if self._command.exit is not None:
                return {"error": "closed"}
            self._command.child.signal_group(int(message["number"]))
        elif request == "release":
            self._command.output.release()
        elif request == "foreground":
            return self._foreground()
        elif request == "collect":
            if not self._is_drained:
                return {"error": "running"}
            self.is_collected = True
        elif request == "abandon":  # the host could not take the descriptors of the greeting
            host.is_greeted, host.is_gone = False, True
        else:
            return {"error": "unknown"}
        return {}

    def _add_input(self, host: Host, message: wire.Message) -> None:
        seq, data = message["seq"], host.gather(message)
        if data is None:
            return
        is_closed = self._command.exit is not None
        if is_closed or len(data) > wire.MOST_INPUT:
            host.send(wire.message(seq=seq, error="closed" if is_closed else "large"))
            return
        cost = len(data) + _WRITE_COST

        def tell(write: Write) -> None:
            host.pending -= cost
            self._written.append((host, wire.written(seq, write.accepted, write.longest)))

        host.pending += cost
        self._command.input.add(data, tell)

    def _hold_for(self, host: Host, at: int) -> wire.Message:
        ring = self._command.output.ring
        host.held = None if at < 0 else min(max(at, ring.end - ring.capacity), ring.end)
        self._hold()
        return {"at": host.held}

    def _hold(self) -> None:
        held = [host.held for host in self._hosts if host.held is not None]
        self._command.output.hold(min(held) if held else None)

    def _fit(self, size: tuple[int, int] | None) -> None:
        """Give the terminal the size that its viewers' windows ask for."""
        if size is not None and self._command.exit is None:
            termios.tcsetwinsize(self._command.master, size)
            if (changed := self._command.output.resized(*size)) is not None:
                self._tell_all(event="resized", size=changed)

    def _foreground(self) -> wire.Message:
        if self._command.exit is not None:
            return {"error": "closed"}
        master, sent = self._command.master, self._command.input
        try:
            group, local = os.tcgetpgrp(master), termios.tcgetattr(master)[3]
        except (OSError, termios.error):
            return {"error": "closed"}
        return {"group": group, "local": local, "written": sent.count, "writtenAt": sent.at}

    def _tell_all(self, **fields: Any) -> None:
        packet = wire.message(**fields)
        for host in self._hosts:
            if host.is_greeted:
                host.send(packet, fields["event"])
                self._watch(host)


def _cells(count: Any) -> int:
    if not 1 <= int(count) <= 0xFFFF:
        raise ValueError(f"no terminal has {count} rows or columns")
    return int(count)
