"""Attaching a terminal: what is shown and typed, and that it is given back whatever happens."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from frith.errors import (
    FrithError,
    LineTooLongError,
    TerminalBusyError,
    TerminalClosedError,
)
from frith.model import Details, ExitStatus, Session, SessionStatus, now
from frith.ports import Attachment, AttachMode, Chunk, Gap, Size, Terminal
from frith_cli.attach.client import AttachOutcome, attach
from frith_cli.attach.tty import NotATerminalError, window_size
from waiting import PATIENCE, until

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
    """A process that says what the test tells it to say."""

    session_id = SESSION.id
    pid = 1
    ref: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.scrollback = b""
        self.typed = b""
        self.sizes: list[Size] = []
        self.signals: list[int] = []
        self.refuses: list[Exception] = []
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
        self, from_offset: int | None = None, mode: AttachMode = AttachMode.LOSSY
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

    async def exited(self) -> ExitStatus:
        return ExitStatus(code=3)

    async def drained(self) -> None:
        raise NotImplementedError


class _View(Attachment, AsyncIterator[Chunk | Gap]):
    def __init__(self, program: Program) -> None:
        self.offset = 0
        self.snapshot = program.scrollback
        self._pieces = program.pieces

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


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    program = Program()
    with program.says, program.pieces:
        yield program


@pytest.fixture
def outer() -> Iterator[Outer]:
    terminal = Outer()
    yield terminal
    terminal.close()


class Attached:
    """An attachment under way."""

    def __init__(self, outer: Outer, program: Program, session: Session = SESSION) -> None:
        self.outer = outer
        self.program = program
        self.session = session
        self.outcome: AttachOutcome | None = None
        self.scope = anyio.CancelScope()

    async def run(self) -> None:
        with self.scope:
            self.outcome = await attach(
                self.program, self.session, source=self.outer.slave, target=self.outer.slave
            )


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


@pytest.mark.requirement("R7.3")
async def test_the_scrollback_comes_first_and_then_what_follows(
    outer: Outer,
    program: Program,
) -> None:
    program.scrollback = b"before "
    async with attached(outer, program) as it:
        program.say(b"after")
        assert await outer.sees(b"before after")
        program.end()
    assert it.outcome == AttachOutcome(exit=ExitStatus(code=3))


async def test_what_is_written_last_is_seen_too(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program):
        for number in range(100):
            program.say(b"line %d\r\n" % number)
        program.end()
    assert outer.read_rest().count(b"line") == 100


async def test_every_byte_that_is_typed_reaches_the_process_as_it_is(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program):
        outer.type(b"a\r\x03\x1a\x04\x11\x13\xff")
        await program.until(lambda: program.typed == b"a\r\x03\x1a\x04\x11\x13\xff")
        program.end()


async def test_the_detach_key_says_that_the_process_will_end_and_asks_once_more(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program) as it:
        outer.type(b"before" + KEY)
        await outer.sees(b"Detaching ends the process of one")
        await outer.sees(b"Press Ctrl-] again to detach")
        assert it.outcome is None
        outer.type(KEY)
    assert it.outcome is not None
    assert it.outcome == AttachOutcome()
    assert program.typed == b"before"
    assert b"the process of one ends now" in outer.read_rest()


async def test_any_other_key_after_the_detach_key_goes_on_and_is_passed_through(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program) as it:
        outer.type(KEY)
        await outer.sees(b"any other key to continue")
        outer.type(b"x")
        await program.until(lambda: program.typed == b"x")
        outer.type(KEY)
        await outer.sees(b"any other key to continue", times=2)
        assert it.outcome is None
        program.end()


async def test_detaching_from_a_process_that_outlives_this_command_needs_no_second_press(
    outer: Outer,
    program: Program,
) -> None:
    kept = SESSION.detail(terminal="keeper")
    program.scrollback = b"\x1b[4h\x1b(0"
    async with attached(outer, program, kept) as it:
        await outer.sees(b"\x1b(0")
        outer.type(KEY)
    assert it.outcome == AttachOutcome()
    _, left, told = outer.read_rest().partition(b"\x1b[4l\x1b(B")
    assert left
    assert b"the process of one is still running" in told, "it is readable"


@pytest.mark.requirement("R7.1")
async def test_the_process_has_a_window_of_the_size_of_this_one_now_and_when_it_changes(
    outer: Outer,
    program: Program,
) -> None:
    outer.resize(30, 100)
    async with attached(outer, program):
        await program.until(lambda: program.sizes == [Size(30, 100)])
        outer.resize(50, 132)
        os.kill(os.getpid(), signal.SIGWINCH)
        await program.until(lambda: program.sizes == [Size(30, 100), Size(50, 132)])
        program.end()


async def test_a_terminal_that_does_not_know_its_size_imposes_none(
    outer: Outer,
    program: Program,
) -> None:
    outer.resize(0, 0)
    async with attached(outer, program):
        program.end()
    assert program.sizes == []


def test_what_is_no_terminal_has_no_window_size() -> None:
    reader, writer = os.pipe()
    try:
        assert window_size(reader) is None
    finally:
        os.close(reader)
        os.close(writer)


async def test_a_signal_to_quit_ends_the_attachment_and_is_told(
    outer: Outer, program: Program
) -> None:
    async with attached(outer, program) as it:
        os.kill(os.getpid(), signal.SIGQUIT)
    assert it.outcome == AttachOutcome(interrupted=signal.SIGQUIT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_signals_that_its_caller_waits_for_stay_with_it_all_the_time(
    outer: Outer, program: Program, number: signal.Signals
) -> None:
    with anyio.open_signal_receiver(number) as signals:
        before = signal.getsignal(number)
        async with attached(outer, program):
            assert signal.getsignal(number) is before
            os.kill(os.getpid(), number)
            assert await anext(aiter(signals)) == number
            program.end()
        assert signal.getsignal(number) is before


async def test_a_cancelled_attachment_gives_the_terminal_back(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program) as it:
        program.say(b"\x1b[?1049h")
        await outer.sees(b"\x1b[?1049h")
        it.scope.cancel()
    assert it.outcome is None
    assert b"\x1b[?1049l" in outer.read_rest()


async def test_an_error_gives_the_terminal_back_and_reaches_the_caller_as_it_is(
    outer: Outer,
    program: Program,
) -> None:
    program.says.send_nowait(FrithError("broken"))
    it = Attached(outer, program)
    with pytest.raises(FrithError, match="broken"):
        await it.run()
    assert outer.is_as_found()


async def test_a_continued_command_makes_its_terminal_raw_again_and_has_all_drawn_anew(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program):
        termios.tcsetattr(outer.slave, termios.TCSANOW, outer.found)
        os.kill(os.getpid(), signal.SIGCONT)
        await program.until(lambda: program.signals == [signal.SIGWINCH])
        assert not termios.tcgetattr(outer.slave)[3] & termios.ICANON
        program.end()


async def test_modes_that_the_program_left_on_are_left(
    outer: Outer,
    program: Program,
) -> None:
    program.scrollback = b"\x1b[?1049h\x1b[?25l"
    async with attached(outer, program):
        program.say(b"\x1b[?1000;1006h\x1b[?20")
        program.say(b"04h")
        program.end()
    after = outer.read_rest().rpartition(b"04h")[2]
    for left in (b"?1049l", b"?25h", b"?1000l", b"?1006l", b"?2004l"):
        assert left in after


async def test_output_that_this_terminal_was_too_slow_for_is_told_of(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program):
        program.says.send_nowait(Gap(0, 1234))
        program.end()
    seen = outer.read_rest()
    assert b"1234 bytes were skipped" in seen
    assert b"\x1b[?1000l" in seen


async def test_a_stopped_terminal_holds_up_neither_the_detach_key_nor_the_end(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program) as it:
        for _ in range(100):
            program.say(b"x" * 65536)
        await until(lambda: program.says.statistics().current_buffer_used < 100)
        outer.type(b"typed")
        await program.until(lambda: program.typed == b"typed")
        os.kill(os.getpid(), signal.SIGQUIT)
    assert it.outcome == AttachOutcome(interrupted=signal.SIGQUIT)


async def test_a_stopped_terminal_that_goes_on_has_lost_nothing(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program):
        for _ in range(10):
            program.say(b"x" * 65536)
        program.end()
        await outer.sees(b"x" * 65536, times=10)


async def test_a_terminal_that_goes_away_is_a_hangup(
    outer: Outer,
    program: Program,
) -> None:
    it = Attached(outer, program)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.run)
        await program.attached.wait()
        os.close(outer.master)
    assert it.outcome == AttachOutcome(interrupted=signal.SIGHUP)


@pytest.mark.parametrize("error", [LineTooLongError(5000, 4095), TerminalBusyError(1, 2)])
async def test_input_that_the_process_does_not_take_is_told_of_and_the_next_goes_on(
    outer: Outer, program: Program, error: FrithError
) -> None:
    async with attached(outer, program):
        program.refuses = [error]
        outer.type(b"lost")
        await outer.sees(str(error).encode())
        outer.type(b"next")
        await program.until(lambda: program.typed == b"next")
        program.end()


async def test_a_process_that_has_ended_takes_no_input_and_is_shown_to_its_end(
    outer: Outer,
    program: Program,
) -> None:
    program.refuses = [TerminalClosedError("ended"), TerminalClosedError("ended")]
    async with attached(outer, program) as it:
        outer.type(b"late")
        await program.until(lambda: not program.refuses)
        program.say(b"last words")
        program.end()
    assert b"last words" in outer.read_rest()
    assert it.outcome == AttachOutcome(exit=ExitStatus(code=3))


async def test_only_a_terminal_can_be_attached(
    outer: Outer,
    program: Program,
) -> None:
    with open(os.devnull, "r+b") as null, pytest.raises(NotATerminalError) as caught:
        await attach(program, SESSION, source=outer.slave, target=null.fileno())
    assert caught.value.code == "NOT_A_TERMINAL"
    assert outer.is_as_found()
