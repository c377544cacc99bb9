"""The main loop of a keeper, until the end of its command has been recorded."""

from __future__ import annotations

import signal
from contextlib import suppress
from time import monotonic

from .command import Command
from .home import Home
from .loop import READ, WRITE, Loop, readable_signals
from .serving import Server
from .sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GRACE = 5.0
"""Seconds that the command has to end by itself once its repository is gone."""


class Keeper:
    """Holds the terminal of one command, reads it, and serves any number of hosts."""

    def __init__(
        self, request: dict[str, Any], home: Home, command: Command, first: Socket
    ) -> None:
        self._request = request
        self._home = home
        self._command = command
        self._loop = Loop()
        self._look_at = monotonic() + float(request["look"])
        self._drained_at: float | None = None
        self._is_hurried = self._is_orphaned = False
        self._is_exit_noted = self._is_output_kept = False
        self._signals, self._wake = readable_signals()
        self._loop.watch(self._signals.fileno(), READ, self._on_signal)
        command.child.continue_if_stopped()  # it may have stopped before signals were watched
        self._loop.watch(command.child.fd, READ, self._on_exit)
        self._server = Server(request, home, command, self._loop, first)

    @property
    def _leave_at(self) -> float | None:
        """Some time after the end, and not before the host that started us knows of us."""
        if self._drained_at is None or not self._server.is_known:
            return None
        return self._drained_at + (0.0 if self._is_hurried else float(self._request["linger"]))

    def run(self) -> None:
        """Run until a host has recorded how the command ended, or none came in time."""
        server, output, sent = self._server, self._command.output, self._command.input
        while not (server.is_collected or server.is_abandoned):
            self._watch_master()
            ours = self._look_at, server.listen_at, self._leave_at
            self._loop.turn((sent.deadline, output.drained_at, *ours))
            now = monotonic()
            if self._look_at <= now:
                self._look(now)
            if server.listen_at is not None and server.listen_at <= now:
                server.listen()
            if sent.deadline is not None and sent.deadline <= now:
                sent.resume()
            server.answer_writes()
            output.settle()
            if output.is_drained and self._drained_at is None:
                self._on_drained(now)
            server.remove_gone()
            if self._leave_at is not None and self._leave_at <= now:
                break
        self._leave()

    def _watch_master(self) -> None:
        output = self._command.output
        if output.master >= 0:
            waits = self._command.input.waits
            events = (READ if output.is_readable else 0) | (WRITE if waits else 0)
            self._loop.watch(output.master, events, self._on_master)

    def _on_master(self) -> None:
        if self._command.input.waits:
            self._command.input.resume()
        self._command.read()

    def _leave(self) -> None:
        if self._server.is_abandoned:  # nothing is left
            self._command.child.signal_group(signal.SIGKILL)
            self._home.drop_output()
        elif not self._server.is_collected:
            if not self._is_exit_noted:
                self._note_exit()
            if not self._is_output_kept:
                self._keep_output()
        self._home.sync_output()
        self._home.leave(collected=self._server.is_collected or self._server.is_abandoned)
        self._command.child.reap()

    def _on_signal(self) -> None:
        try:
            numbers = self._signals.recv(64)
        except BlockingIOError:  # they were handled when the command ended, in the same turn
            return
        for number in numbers:
            if number == signal.SIGCHLD:
                self._command.child.continue_if_stopped()
            elif number == signal.SIGUSR1:  # a host does not find us
                self._server.listen_again()
            else:  # the machine shuts down: there is no host to wait for
                self._is_hurried = True
                self._command.child.signal_group(signal.SIGHUP, signal.SIGCONT)

    def _look(self, now: float) -> None:
        """Check that hosts can find us; end where none ever can."""
        self._look_at = now + float(self._request["look"])
        if self._home.is_gone():
            first, then = (signal.SIGHUP, signal.SIGCONT), (signal.SIGKILL,)
            self._command.child.signal_session(*(then if self._is_orphaned else first))
            self._is_orphaned = self._is_hurried = True
            self._look_at = min(self._look_at, now + _GRACE)
            self._command.output.release()  # viewers of a host that is still there may hold it up
        elif not self._home.has_its_place():
            self._server.listen_again()

    def _on_exit(self) -> None:
        command = self._command
        command.exit = command.child.exit_status()
        if command.exit is None:
            return
        self._loop.forget(command.child.fd)
        self._on_signal()  # a shutdown signals all at once, and the command is often the quickest
        command.was_shut_down = self._is_hurried
        # Before the answers to those who write.
        self._server.exited()
        command.input.close()
        command.output.process_ended()
        command.read()

    def _on_drained(self, now: float) -> None:
        self._drained_at = now
        self._loop.forget(self._command.master)
        self._command.output.close()
        self._look(now)
        self._note_exit()
        self._keep_output()  # first: once hosts know, the end may be recorded, and asked for
        self._server.drained()
        if self._is_output_kept:
            self._home.sync_output()

    def _note_exit(self) -> None:
        """Write how the command ended; if that fails, once more before we leave."""
        with suppress(OSError):
            command = self._command
            self._home.note_exit({"exit": command.exit, "shutDown": command.was_shut_down})
            self._is_exit_noted = True

    def _keep_output(self) -> None:
        """Write the newest output, for hosts that ask when we are gone; or try again later."""
        end = self._command.output.ring.end
        pieces = self._command.output.ring.pieces(int(self._request["scrollback"]))
        about = {
            "terminal": self._request["terminal"],
            "pid": self._command.child.pid,
            "exit": self._command.exit,
            "offset": end - sum(map(len, pieces)),
            "sizes": self._command.output.sizes,
        }
        with suppress(OSError):
            if end:
                self._home.keep_output(about, pieces)
            self._is_output_kept = True
