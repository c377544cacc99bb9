"""A user's terminal, a program, and an attachment between them."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel

from frith.model import Details, ExitStatus, Session, SessionStatus, now
from frith.ports import Attachment, AttachMode, Chunk, Gap, Resize, Screen, Size, Terminal
from frith_cli.attach.client import attach
from frith_cli.context import Interrupted
from waiting import PATIENCE

KEY = b"\x1d"
SESSION = Session(
    id="0b5fca3e-58a3-4d2c-9d2b-2c9c1b0e7a11",
    name="one",
    status=SessionStatus.ACTIVE,
    branch="feature/one",
    worktree_path="/workspace/.worktrees/0b5fca3e-58a3-4d2c-9d2b-2c9c1b0e7a11",
    created_at=now(),
    last_activity=now(),
    details=Details(terminal="pty"),
)


class Program(Terminal):
    """A process whose output the test writes."""

    session_id = SESSION.id
    pid = 1
    ref: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.scrollback = b""
        self.typed = b""
        self.sizes: list[Size] = []
        self.signals: list[int] = []
        self.refuses: list[Exception] = []
        self.shown: Screen | None = None
        self.resizes: tuple[Resize, ...] = ()
        self.attached = anyio.Event()
        self.changed = anyio.Event()
        self.says, self.pieces = anyio.create_memory_object_stream[Chunk | Gap | Exception](1000)

    def say(self, data: bytes) -> None:
        self.says.send_nowait(Chunk(0, data))

    def end(self) -> None:
        self.says.close()

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self.changed.wait()

    def _change(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    @asynccontextmanager
    async def attach(
        self,
        from_offset: int | None = None,
        mode: AttachMode = AttachMode.LOSSY,
        *,
        viewer: str | None = None,
    ) -> AsyncIterator[Attachment]:
        assert mode is AttachMode.LOSSY
        self.attached.set()
        yield _View(self)

    async def write(self, data: bytes) -> None:
        if self.refuses:
            self._change()
            raise self.refuses.pop(0)
        self.typed += data
        self._change()

    async def resize(self, viewer: str, size: Size) -> None:
        if self.refuses:
            raise self.refuses.pop(0)
        self.sizes.append(size)
        self._change()

    async def signal(self, number: int) -> None:
        self.signals.append(number)
        self._change()

    async def terminate(self, grace: float) -> ExitStatus:
        return await self.exited()

    async def screen(self, size: Size | None = None) -> Screen | None:
        return self.shown

    async def exited(self) -> ExitStatus:
        return ExitStatus(code=3)

    async def drained(self) -> None:
        raise NotImplementedError


class _View(Attachment, AsyncIterator[Chunk | Gap]):
    def __init__(self, program: Program) -> None:
        self.offset = 0
        self.snapshot = program.scrollback
        self._pieces = program.pieces
        self._program = program

    @property
    def resizes(self) -> tuple[Resize, ...]:
        return self._program.resizes

    def __aiter__(self) -> AsyncIterator[Chunk | Gap]:
        return self

    async def __anext__(self) -> Chunk | Gap:
        piece = await self._pieces.__anext__()
        if isinstance(piece, Exception):
            raise piece
        return piece


class Outer:
    """The user's terminal: what is typed there, what is seen there."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.seen = b""
        self.resize(24, 80)
        self.found = termios.tcgetattr(self.slave)

    def close(self) -> None:
        for fd in (self.master, self.slave):
            with suppress(OSError):
                os.close(fd)

    def type(self, data: bytes) -> None:
        assert os.write(self.master, data) == len(data)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def is_as_found(self) -> bool:
        return termios.tcgetattr(self.slave) == self.found

    def read_rest(self) -> bytes:
        with suppress(BlockingIOError):
            while data := os.read(self.master, 65536):
                self.seen += data
        return self.seen

    async def sees(self, expected: bytes, times: int = 1) -> bytes:
        while self.seen.count(expected) < times:
            await anyio.wait_readable(self.master)
            self.seen += os.read(self.master, 65536)
        return self.seen


class Attached:
    """An attachment under way."""

    def __init__(self, outer: Outer, program: Program, session: Session = SESSION) -> None:
        self.outer = outer
        self.program = program
        self.session = session
        self.ended: ExitStatus | int | str | None = None
        """How the process ended, the signal that interrupted the attachment, or ``detached``."""
        self.scope = anyio.CancelScope()

    async def run(self) -> None:
        with self.scope:
            fd = self.outer.slave
            try:
                exit_status = await attach(
                    self.program, self.session, detach_key=KEY, source=fd, target=fd
                )
                self.ended = exit_status or "detached"
            except Interrupted as error:
                self.ended = error.number


@asynccontextmanager
async def attached(
    outer: Outer, program: Program, session: Session = SESSION
) -> AsyncIterator[Attached]:
    """Attach; on leaving wait for the attachment to end, and see that all was given back."""
    under_way = Attached(outer, program, session)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(under_way.run)
            await program.attached.wait()
            yield under_way
    assert outer.is_as_found()
    assert not fcntl.fcntl(outer.slave, fcntl.F_GETFL) & os.O_NONBLOCK
