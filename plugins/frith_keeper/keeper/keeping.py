"""The life of a keeper with its command, to the last byte."""

from __future__ import annotations

import os
import signal
import termios
from contextlib import suppress
from functools import partial
from time import monotonic

from . import wire
from .command import Command, start_time
from .home import Home
from .hosts import Host, is_ours
from .inputs import Inputs
from .loop import READ, Loop
from .output import Output
from .sockets import Socket, accept
from .waking import readable_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEAF = 0.1
"""Seconds for which nobody is let in where that takes more than there is: mostly descriptors."""
_GRACE = 5.0
"""Seconds that the command has to end by itself once its repository is gone."""
_EACH = 512
"""Bytes that a write costs beyond its data."""


class Keeper:
    """Holds the terminal of one command, reads it, and serves any number of hosts."""

    def __init__(
        self, request: dict[str, Any], home: Home, command: Command, first: Socket
    ) -> None:
        self._request = request
        self._home = home
        self._command = command
        self._loop = Loop()
        self._output = Output(
            command.master, command.tty, self._loop, int(request["scrollback"]), command.size
        )
        self._inputs = Inputs(command.master, float(request["writeWithin"]), self._output.ring)
        self._hosts: list[Host] = []
        self._written: list[tuple[Host, bytes]] = []
        """Answers to writes, not sent yet."""
        self._exit: dict[str, int] | None = None
        self._told_drained = False
        self._leave_at: float | None = None
        self._listen_at: float | None = None
        self._look_at = monotonic() + float(request["look"])
        self._hurry = self._is_orphaned = self._was_shut_down = False
        self._is_over = False
        self._collected = False
        self._is_noted = self._is_kept = False
        self._signals, self._wake = readable_signals()
        self._loop.watch(self._signals.fileno(), READ, self._signalled)
        command.continue_if_stopped()  # it may have stopped before signals were watched
        self._loop.watch(command.pidfd, READ, self._exited)
        self._listen()
        self._first = self._add(first)

    def run(self) -> None:
        """Go on until somebody has taken note of how the command ended."""
        while not self._is_over:
            ours = self._leave_at, self._listen_at, self._look_at
            self._loop.turn((self._inputs.deadline, self._output.drained_at, *ours))
            now = monotonic()
            if self._look_at <= now:
                self._look(now)
            if self._listen_at is not None and self._listen_at <= now:
                self._listen()
            if self._inputs.deadline is not None and self._inputs.deadline <= now:
                self._write()
            if self._written:
                self._output.look()  # an echo, mostly
            if self._output.take_news():
                for host in self._hosts:
                    host.ring()
            self._tell_written()
            self._output.settle(now)
            if self._output.is_drained and not self._told_drained:
                self._drained()
            for host in [host for host in self._hosts if host.is_gone]:
                self._remove(host)
            self._is_over |= self._leave_at is not None and self._leave_at <= now
        self._leave()

    def _leave(self) -> None:
        if not (self._collected or self._is_noted):
            self._note_exit()
        if not (self._collected or self._is_kept) and self._output.is_drained:
            self._keep_output()
        self._home.sync_output()
        self._home.leave(collected=self._collected)
        self._command.reap()

    def _signalled(self) -> None:
        try:
            numbers = self._signals.recv(64)
        except BlockingIOError:  # they were seen to when the command ended, in the same turn
            return
        for number in numbers:
            if number == signal.SIGCHLD:
                self._command.continue_if_stopped()
            elif number == signal.SIGUSR1:  # a host does not find us
                self._listen_again()
            else:  # the machine goes down: there is nobody to wait for
                self._hurry = True
                self._command.signal_group(signal.SIGHUP, signal.SIGCONT)
                self._plan_to_leave()

    def _look(self, now: float) -> None:
        """See whether hosts can find us; end where none ever can."""
        self._look_at = now + float(self._request["look"])
        if self._home.is_gone():
            first, then = (signal.SIGHUP, signal.SIGCONT), (signal.SIGKILL,)
            self._command.signal_session(*(then if self._is_orphaned else first))
            self._is_orphaned = self._hurry = True
            self._look_at = min(self._look_at, now + _GRACE)
            self._output.release()  # the viewers of a host that goes on may hold it up
            self._plan_to_leave()
        elif not self._home.has_its_place():
            self._listen_again()

    def _listen_again(self) -> None:
        self._loop.forget(self._home.socket.fileno())
        self._home.listen_again()
        self._listen()

    def _listen(self) -> None:
        self._listen_at = None
        self._loop.watch(self._home.socket.fileno(), READ, self._accept)

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
            self._listen_at = monotonic() + _DEAF

    def _add(self, connection: Socket) -> Host:
        host = Host(connection)
        self._hosts.append(host)
        self._loop.watch(connection.fileno(), READ, partial(self._serve, host))
        return host

    def _remove(self, host: Host) -> None:
        if host is self._first and not host.greeted:  # nobody was told of us
            self._command.signal_group(signal.SIGKILL)
            self._is_over = self._collected = True
            self._home.drop_output()
        self._hosts.remove(host)
        self._loop.forget(host.socket.fileno())
        host.close()
        self._hold()
        if host.windows:
            self._fit()
        if host.greeted:
            self._tell_all(event="departed")

    def _serve(self, host: Host) -> None:
        waited = host.waits
        if waited:
            host.send_unsent()
        # One for each time it is readable: looking for more costs as much as obeying.
        message = host.receive()
        if message is not None:
            self._obey(host, message)
        if waited:
            self._attend(host)

    def _attend(self, host: Host) -> None:
        if not host.is_gone:
            self._loop.watch(host.socket.fileno(), host.events, partial(self._serve, host))

    def _obey(self, host: Host, message: wire.Message) -> None:
        try:
            if not host.greeted:
                self._greet(host, message)
                return
            if message.get("do") == "write":
                self._add_input(host, message)
                return
            answer = self._answer(host, message)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            answer = {"error": "rubbish", "message": repr(error)}
        if "seq" in message:
            host.send(wire.message(seq=message["seq"], **answer))
            if host.waits:
                self._attend(host)

    def _greet(self, host: Host, message: wire.Message) -> None:
        spoken = message.get("versions")
        common = set(spoken if isinstance(spoken, list) else ()) & set(wire.VERSIONS)
        if message.get("do") != "hello" or not common:
            host.send(wire.message(seq=message.get("seq"), error="version", versions=wire.VERSIONS))
            host.is_gone = True
            return
        output, request = self._output, self._request
        host.greet(
            wire.message(
                seq=message.get("seq"),
                version=max(common),
                session=request["session"],
                workspace=request["workspace"],
                terminal=request["terminal"],
                keeper=os.getpid(),
                keeperStart=start_time(os.getpid()),
                pid=self._command.pid,
                startTime=self._command.start_time,
                tty=self._command.tty,
                capacity=output.ring.capacity,
                sizes=output.sizes,
                exit=self._exit,
                shutDown=self._was_shut_down,
                drained=self._told_drained,
            ),
            output.readable_ring,
        )
        if host is self._first:
            self._plan_to_leave()

    def _answer(self, host: Host, message: wire.Message) -> wire.Message:
        what = message.get("do")
        if what == "hold":
            return self._hold_for(host, int(message["at"]))
        if what == "resize":
            window = _cells(message["rows"]), _cells(message["columns"])
            host.windows.pop(message["viewer"], None)
            host.windows[message["viewer"]] = window
            self._hosts.remove(host)
            self._hosts.append(host)  # the latest last
            self._fit()
        elif what == "leave":
            if host.windows.pop(message["viewer"], None):
                self._fit()
        elif what == "signal":
            if self._exit is not None:
                return {"error": "closed"}
            self._command.signal_group(int(message["number"]))
        elif what == "release":
            self._output.release()
        elif what == "foreground":
            return self._foreground()
        elif what == "collect":
            if not self._told_drained:
                return {"error": "running"}
            self._collected = self._is_over = True
        elif what == "abandon":  # it could not take what came with the greeting
            host.greeted, host.is_gone = False, True
        else:
            return {"error": "unknown"}
        return {}

    def _add_input(self, host: Host, message: wire.Message) -> None:
        seq, data = message["seq"], host.gather(message)
        if data is None:
            return
        if self._exit is not None or len(data) > wire.MOST_INPUT:
            host.send(wire.message(seq=seq, error="large" if self._exit is None else "closed"))
            return
        cost = len(data) + _EACH

        def tell(count: int, longest: int) -> None:
            host.pending -= cost
            self._written.append((host, wire.written(seq, count, longest)))

        host.pending += cost
        self._inputs.add(data, tell)
        self._attend(host)
        self._watch_master()

    def _tell_written(self) -> None:
        """Answer writes; after the output that they have led to, for one awakening of the host."""
        while self._written:
            host, packet = self._written.pop()
            if not host.is_gone:
                host.send(packet)
                self._attend(host)

    def _write(self) -> None:
        self._inputs.go_on()
        self._watch_master()

    def _watch_master(self) -> None:
        self._output.watch(self._write if self._inputs.waits else None)

    def _hold_for(self, host: Host, at: int) -> wire.Message:
        ring = self._output.ring
        if at < 0:
            host.held = None
        else:
            host.held = min(max(at, ring.end - ring.capacity), ring.end)
        self._hold()
        return {"at": host.held}

    def _hold(self) -> None:
        held = [host.held for host in self._hosts if host.held is not None]
        self._output.hold(min(held) if held else None)

    def _fit(self) -> None:
        """Give the terminal the size that its viewers' windows ask for."""
        windows = [size for host in self._hosts for size in host.windows.values()]
        if not windows or self._exit is not None:
            return
        size = windows[-1]
        if self._request["sizePolicy"] == "smallest":
            size = min(rows for rows, _ in windows), min(columns for _, columns in windows)
        self._command.set_size(*size)
        if (changed := self._output.resized(size)) is not None:
            self._tell_all(event="resized", size=changed)

    def _foreground(self) -> wire.Message:
        if self._exit is not None:
            return {"error": "closed"}
        try:
            found = self._command.foreground()
        except (OSError, termios.error):
            return {"error": "closed"}
        return {**found, "written": self._inputs.count, "writtenAt": self._inputs.at}

    def _tell_all(self, **fields: Any) -> None:
        packet = wire.message(**fields)
        for host in self._hosts:
            if host.greeted:
                host.send(packet, fields["event"])
                self._attend(host)

    def _exited(self) -> None:
        status = self._command.exit_status()
        if status is None:
            return
        self._loop.forget(self._command.pidfd)
        self._signalled()  # a shutdown signals all at once, and the command is often the quickest
        self._exit, self._was_shut_down = status, self._hurry
        # before the answers to those who write
        self._tell_all(event="exited", exit=status, shutDown=self._was_shut_down)
        self._inputs.close()
        self._output.begin_to_drain()

    def _drained(self) -> None:
        self._told_drained = True
        self._look(monotonic())
        self._note_exit()
        self._keep_output()  # first: once it is told, the end may be recorded, and asked for
        self._plan_to_leave()
        for host in self._hosts:
            host.ring()
        self._tell_all(event="drained", end=self._output.ring.end)
        if self._is_kept:
            self._home.sync_output()

    def _note_exit(self) -> None:
        """Write down how the command ended; if that fails, once more before we leave."""
        with suppress(OSError):
            ended = {"exit": self._exit, "shutDown": self._was_shut_down}
            self._home.note_exit({**ended, "end": self._output.ring.end})
            self._is_noted = True

    def _keep_output(self) -> None:
        """Write down the newest output, for whoever asks when we are gone; or try again later."""
        if not self._output.ring.end:
            self._is_kept = True
            return
        offset, pieces = self._output.newest()
        about = {
            "terminal": self._request["terminal"],
            "pid": self._command.pid,
            "exit": self._exit,
            "offset": offset,
            "sizes": self._output.sizes,
        }
        with suppress(OSError):
            self._home.keep_output(about, pieces)
            self._is_kept = True

    def _plan_to_leave(self) -> None:
        """Leave some time after the end, and not before the host that started us knows of us."""
        if self._output.is_drained and self._first.greeted:
            linger = 0.0 if self._hurry else float(self._request["linger"])
            self._leave_at = monotonic() + linger


def _cells(count: Any) -> int:
    if not 1 <= int(count) <= 0xFFFF:
        raise ValueError(f"no terminal has {count} rows or columns")
    return int(count)
