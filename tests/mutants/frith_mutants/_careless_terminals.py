"""Replacements for parts of the terminal ``pty``: each takes the original part."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from anyio import current_time, get_cancelled_exc_class, move_on_after

from frith.errors import TerminalClosedError
from frith.model import ExitStatus
from frith_os.processes import environ_of

Part = Callable[..., Any]


def closes_nothing(add: Part) -> Part:
    def careless(self: Any, actions: Any, action: str, *arguments: Any) -> None:
        if action not in ("close", "closefrom_np"):
            add(self, actions, action, *arguments)

    return careless


def takes_no_control(add: Part) -> Part:
    def careless(self: Any, actions: Any, action: str, *arguments: Any) -> None:
        if action == "open":
            fd, path, flags, mode = arguments
            arguments = (fd, path, flags | os.O_NOCTTY, mode)
        add(self, actions, action, *arguments)

    return careless


def prefers_the_host(environment: Part) -> Part:
    def careless(*arguments: Any) -> dict[str, str]:
        own = {name: text for name, text in os.environ.items() if name.startswith("FRITH_")}
        return {**environment(*arguments), **own}

    return careless


def adds_the_hosts(environment: Part) -> Part:
    return lambda *arguments: {**os.environ, **environment(*arguments)}


def takes_them_along(close: Part) -> Part:
    def careless(self: Any) -> None:
        for terminal in self._terminals:
            with suppress(ProcessLookupError):
                os.kill(terminal.pid, signal.SIGKILL)
        close(self)

    return careless


def shows_all_from_the_start(attach: Part) -> Part:
    def careless(self: Any, from_offset: int | None = None, *arguments: Any, **named: Any) -> Any:
        return attach(self, None, *arguments, **named)

    return careless


def asks_anyio_for_the_time(on_exit: Part) -> Part:
    def careless(self: Any) -> None:
        current_time()
        on_exit(self)

    return careless


def does_nothing(_: Part) -> Part:
    async def careless(*_: Any) -> None:
        pass

    return careless


def does_nothing_at_once(_: Part) -> Part:
    return lambda *_: None


def writes_blocking(_: Part) -> Part:
    async def careless(self: Any, data: bytes) -> None:
        master = self._output.master
        os.set_blocking(master, True)
        try:
            while data:
                data = data[os.write(master, data) :]
        finally:
            os.set_blocking(master, False)

    return careless


def writes_pieces_in_turn(resume: Part) -> Part:
    def careless(self: Any) -> None:
        resume(self)
        self._queue[:] = [*self._queue[1:], *self._queue[:1]]

    return careless


def stops_at_the_exit(_: Part) -> Part:
    async def careless(self: Any) -> None:
        self._output.process_ended()

    return careless


def leaves_it_to_the_exit(on_readable: Part) -> Part:
    def careless(self: Any) -> None:
        if self._child.exit_status() is None:
            on_readable(self)

    return careless


def decodes(read: Part) -> Part:
    def careless(self: Any, offset: int, limit: int) -> bytes:
        text: str = read(self, offset, limit).decode("ascii", errors="replace")
        return text.replace("\ufffd", "?").encode()

    return careless


def keeps_everything(ring: Part) -> Part:
    return lambda _, **named: ring(1 << 30, **named)


def begins_at_the_end(init: Part) -> Part:
    def careless(self: Any, output: Any, from_offset: int | None, *options: Any) -> None:
        init(self, output, output.ring.end, *options)

    return careless


def waits_for_no_viewer(_: Part) -> Part:
    return lambda self: 64 * 1024


def waits_for_viewers_to_the_end(_: Part) -> Part:
    def careless(self: Any) -> int:
        return 64 * 1024 if self._held is None else self._held + self._scrollback - self.ring.end

    return careless


def waits_for_every_viewer(add: Part) -> Part:
    def careless(self: Any, viewer: Any) -> None:
        viewer.is_lossless = True
        add(self, viewer)

    return careless


def serves_three(chunk: Part) -> Part:
    served: dict[int, dict[int, int]] = {}

    def careless(self: Any, offset: int) -> Any:
        found = chunk(self, offset)
        times = served.setdefault(id(self), {})
        times[offset] = times.get(offset, 0) + 1
        if found is not None and times[offset] > 3:
            return replace(found, data=bytes(len(found.data)))
        return found

    return careless


def adds_128(exited: Part) -> Part:
    async def careless(self: Any) -> ExitStatus:
        status = await exited(self)
        return status if status.signal is None else ExitStatus(code=128 + status.signal)

    return careless


def believes_in_the_end(on_readable: Part) -> Part:
    def careless(self: Any) -> None:
        on_readable(self)
        if self._output._other_end is not None:
            self._stop_reading()
            self._status = ExitStatus(code=0)
            self._exited.set()

    return careless


def signals_the_leader(_: Part) -> Part:
    return lambda self, *numbers: [os.kill(self.pid, number) for number in numbers]


def kills_instead_of_continuing(signal_group: Part) -> Part:
    def careless(self: Any, *numbers: int) -> None:
        kill = {signal.SIGCONT: signal.SIGKILL}
        signal_group(self, *(kill.get(signal.Signals(number), number) for number in numbers))

    return careless


def gives_no_grace(terminate: Part) -> Part:
    return lambda self, grace: terminate(self, 0)


def ends_the_group(_: Part) -> Part:
    async def careless(self: Any, grace: float = 0) -> ExitStatus:
        self._output.release()
        self._watch()
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10)):
            self._child.signal_group(number)
            with move_on_after(patience):
                await self.exited()
                await self.drained()
                break
        status: ExitStatus = self._status
        return status

    return careless


def asks_for_no_workspace(_: Part) -> Part:
    return lambda self, pid: self._session in (environ_of(pid) or ()) and pid not in self._spared


def awaits_nobody(_: Part) -> Part:
    def careless(self: Any) -> None:
        if self.fd >= 0:
            self.is_reaped = True
            os.close(self.fd)
            self.fd = -1

    return careless


def reap() -> None:
    """Wait for all children that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keeps_a_descriptor(_: Part) -> Part:
    def careless(self: Any) -> None:
        if self.fd >= 0:
            self.is_reaped = True
            with suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG)
            self.fd = -1

    return careless


def shares_the_wait(exited: Part) -> Part:
    waiting: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    async def careless(self: Any) -> ExitStatus:
        waiting[self] = waiting.get(self, 0) + 1
        try:
            status: ExitStatus = await exited(self)
        except get_cancelled_exc_class():
            if waiting[self] > 1:
                self._status = ExitStatus(signal=signal.SIGHUP)
                self._exited.set()
            raise
        finally:
            waiting[self] -= 1
        return status

    return careless


def closes_when_cancelled(write: Part) -> Part:
    closed: WeakSet[Any] = WeakSet()

    async def careless(self: Any, data: bytes) -> None:
        if self in closed:
            raise TerminalClosedError("A write was cancelled.")
        try:
            await write(self, data)
        except get_cancelled_exc_class():
            closed.add(self)
            raise

    return careless


def terminates_once(terminate: Part) -> Part:
    asked: WeakSet[Any] = WeakSet()

    async def careless(self: Any, grace: float) -> ExitStatus:
        if self in asked:
            return ExitStatus(signal=signal.SIGKILL)
        asked.add(self)
        status: ExitStatus = await terminate(self, grace)
        return status

    return careless


_of_viewers: list[int] = []


def keeps_a_descriptor_a_viewer(attach: Part) -> Part:
    def careless(self: Any, *arguments: Any, **named: Any) -> Any:
        _of_viewers.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        return attach(self, *arguments, **named)

    return careless


def close_what_viewers_left() -> None:
    """Close what they opened, as a provider does that looks at the end only."""
    while _of_viewers:
        os.close(_of_viewers.pop())
