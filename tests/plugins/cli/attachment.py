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
from frith_cli.attach.tty import window_size
from frith_cli.context import Interrupted
from views import viewed
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
        self.pieces: list[Chunk | Gap | Exception] = []
        self.shown_pieces = 0
        """How many of the pieces the attachment has taken."""
        self.viewers: dict[str, Size] = {}
        self.has_ended = False
        self._written = 0

    def say(self, data: bytes) -> None:
        self.add(Chunk(self._written, data))

    def skip(self, missed: int, kept: bytes = b"") -> None:
        """Write more than viewers can take."""
        self.add(Gap(self._written, missed))
        self.say(kept)

    def add(self, piece: Chunk | Gap | Exception) -> None:
        if isinstance(piece, Chunk):
            self._written += len(piece.data)
        elif isinstance(piece, Gap):
            self._written += piece.missed
        self.pieces.append(piece)
        self._change()

    def end(self) -> None:
        self.has_ended = True
        self._change()

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
        yield _View(self, viewer)

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
        self.viewers[viewer] = size
        self._change()

    async def leave(self, viewer: str) -> None:
        self.viewers.pop(viewer, None)

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
        await self.until(lambda: self.has_ended)


class _View(Attachment, AsyncIterator[Chunk | Gap]):
    def __init__(self, program: Program, viewer: str | None) -> None:
        self.offset = -len(program.scrollback)
        self.snapshot = program.scrollback
        shown = enumerate(program.pieces[: program.shown_pieces], 1)
        self._at = max((at for at, piece in shown if isinstance(piece, Gap)), default=0)
        self._program = program
        self._viewer = viewer

    @property
    def resizes(self) -> tuple[Resize, ...]:
        return self._program.resizes

    def __aiter__(self) -> AsyncIterator[Chunk | Gap]:
        return self

    async def __anext__(self) -> Chunk | Gap:
        program = self._program
        await program.until(lambda: program.has_ended or self._at < len(program.pieces))
        if self._at == len(program.pieces):
            raise StopAsyncIteration
        piece = program.pieces[self._at]
        self._at += 1
        if self._viewer:
            program.shown_pieces = self._at
            program._change()
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
                async with viewed(self.program, size=window_size(fd)) as view:
                    ended = await attach(view, self.session, detach_key=KEY, source=fd, target=fd)
                self.ended = ended.exit if ended else "detached"
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
