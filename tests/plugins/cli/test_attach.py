"""Attaching a terminal: what is shown and typed, and that it is given back whatever happens."""

from __future__ import annotations

import os
import re
import signal
import termios
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest

from frith.errors import (
    FrithError,
    LineTooLongError,
    TerminalBusyError,
    TerminalClosedError,
)
from frith.model import ExitStatus
from frith.ports import Resize, Screen, Size
from frith_cli.attach.client import attach
from frith_cli.attach.shown_in_itself import Mark, ShownInItselfError
from frith_cli.attach.tty import NotATerminalError, window_size
from views import viewed

from .attachment import KEY, SESSION, Attached, Outer, Program, attached


@pytest.fixture
async def program() -> Program:
    return Program()


@pytest.fixture
def outer() -> Iterator[Outer]:
    terminal = Outer()
    yield terminal
    terminal.close()


async def test_a_suspended_attachment_gives_up_the_size_so_that_it_is_asked_nothing(
    outer: Outer, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspended: list[dict[str, Size]] = []
    async with attached(outer, program):
        (viewer,) = program.viewers
        with monkeypatch.context() as patched:
            patched.setattr(signal, "raise_signal", lambda _: suspended.append({**program.viewers}))
            os.kill(os.getpid(), signal.SIGTSTP)
            await program.until(lambda: bool(suspended and program.viewers))
        assert suspended == [{}]
        assert list(program.viewers) == [viewer]
        program.end()


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
    assert it.ended == ExitStatus(code=3)


async def test_the_last_output_is_shown(
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


async def test_the_detach_key_asks_again_if_the_process_ends_with_the_command(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program) as it:
        outer.type(b"before" + KEY)
        await outer.sees(b"Detaching ends the process of one")
        await outer.sees(b"Press Ctrl-] again to detach")
        assert it.ended is None
        outer.type(KEY)
    assert it.ended == "detached"
    assert program.typed == b"before"
    assert b"the process of one ends now" in outer.read_rest()


async def test_another_key_after_the_detach_key_is_passed_on_and_the_attachment_continues(
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
        assert it.ended is None
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
    assert it.ended == "detached"
    _, left, told = outer.read_rest().partition(b"\x1b[4l\x1b(B")
    assert left
    assert b"the process of one is still running" in told, "it is readable"


@pytest.mark.requirement("R7.1")
async def test_the_process_gets_the_size_of_the_window_and_its_changes(
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


async def test_a_terminal_of_unknown_size_does_not_resize_the_process(
    outer: Outer,
    program: Program,
) -> None:
    outer.resize(0, 0)
    async with attached(outer, program):
        program.end()
    assert program.sizes == []


def test_a_pipe_has_no_window_size() -> None:
    reader, writer = os.pipe()
    try:
        assert window_size(reader) is None
    finally:
        os.close(reader)
        os.close(writer)


async def test_sigquit_ends_the_attachment_and_is_reported(outer: Outer, program: Program) -> None:
    async with attached(outer, program) as it:
        os.kill(os.getpid(), signal.SIGQUIT)
    assert it.ended == signal.SIGQUIT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_an_attachment_leaves_the_signal_handlers_of_its_caller(
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


async def test_a_cancelled_attachment_restores_the_terminal(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program) as it:
        program.say(b"\x1b[?1049h")
        await outer.sees(b"\x1b[?1049h")
        it.scope.cancel()
    assert it.ended is None
    assert b"\x1b[?1049l" in outer.read_rest()


async def test_an_error_restores_the_terminal_and_propagates(
    outer: Outer,
    program: Program,
) -> None:
    program.add(FrithError("broken"))
    it = Attached(outer, program)
    with pytest.raises(FrithError, match="broken"):
        await it.run()
    assert outer.is_as_found()


async def test_a_continued_command_enters_raw_mode_again_and_redraws(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program):
        termios.tcsetattr(outer.slave, termios.TCSANOW, outer.found)
        os.kill(os.getpid(), signal.SIGCONT)
        await program.until(lambda: program.signals == [signal.SIGWINCH])
        assert not termios.tcgetattr(outer.slave)[3] & termios.ICANON
        program.end()


async def test_modes_that_the_program_switched_on_are_switched_off(
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


async def test_after_skipped_output_the_terminal_is_drawn_anew(
    outer: Outer,
    program: Program,
) -> None:
    program.scrollback = b"\x1b[?1000h"
    async with attached(outer, program):
        await outer.sees(b"\x1b[?1000h")
        program.skip(1234, b"kept")
        await outer.sees(b"kept")
        program.end()
    seen = outer.read_rest()
    assert b"skipped" not in seen
    assert b"\x1b[?1000l" in seen.partition(b"kept")[0]


async def test_after_skipped_output_a_screen_of_another_size_is_redrawn(
    outer: Outer,
    program: Program,
) -> None:
    size = Size(rows=3, columns=20)
    program.shown = Screen(0, size, b"drawn")
    program.resizes = (Resize(0, size),)
    async with attached(outer, program):
        program.skip(1234)
        await outer.sees(b"drawn", times=2)
        program.end()


async def test_the_marks_of_other_terminals_are_passed_on_where_screens_are_shown(
    outer: Outer,
    program: Program,
) -> None:
    mark = Mark(SESSION).sequence
    size = Size(rows=3, columns=20)
    program.shown = Screen(0, size, b"drawn")
    program.resizes = (Resize(0, size),)
    async with attached(outer, program):
        await outer.sees(b"drawn")
        program.say(b"text" + mark)
        await outer.sees(mark)
        program.end()
    assert b"text" not in outer.read_rest()


@pytest.mark.parametrize("size", [Size(24, 80), Size(3, 20)])
async def test_a_terminal_that_would_show_itself_is_refused(
    outer: Outer, program: Program, size: Size
) -> None:
    program.shown = Screen(0, size, b"drawn")
    program.resizes = (Resize(0, size),)
    it = Attached(outer, program)
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            with pytest.raises(ShownInItselfError):
                await it.run()

        tasks.start_soon(run)
        seen = await outer.sees(b"\x1b]7709;")
        while not (mark := re.search(rb"\x1b]7709;.*\x07", seen)):
            seen = await outer.sees(b"\x07", times=outer.seen.count(b"\x07") + 1)
        program.say(mark.group())


async def test_a_stopped_terminal_delays_neither_input_nor_the_end(
    outer: Outer,
    program: Program,
) -> None:
    async with attached(outer, program) as it:
        for _ in range(100):
            program.say(b"x" * 65536)
        await program.until(lambda: program.shown_pieces > 0)
        outer.type(b"typed")
        await program.until(lambda: program.typed == b"typed")
        os.kill(os.getpid(), signal.SIGQUIT)
    assert it.ended == signal.SIGQUIT


async def test_a_stopped_terminal_shows_everything_once_it_continues(
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
    assert it.ended == signal.SIGHUP


@pytest.mark.parametrize("error", [LineTooLongError(5000, 4095), TerminalBusyError(1, 2)])
async def test_refused_input_is_reported_and_later_input_is_passed_on(
    outer: Outer, program: Program, error: FrithError
) -> None:
    async with attached(outer, program):
        program.refuses = [error]
        outer.type(b"lost")
        await outer.sees(str(error).encode())
        outer.type(b"next")
        await program.until(lambda: program.typed == b"next")
        program.end()


async def test_the_output_of_an_ended_process_is_shown_to_the_end(
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
    assert it.ended == ExitStatus(code=3)


async def test_only_a_terminal_can_be_attached(
    outer: Outer,
    program: Program,
) -> None:
    with open(os.devnull, "r+b") as null, pytest.raises(NotATerminalError) as caught:
        async with viewed(program) as view:
            await attach(view, SESSION, detach_key=KEY, source=outer.slave, target=null.fileno())
    assert caught.value.code == "NOT_A_TERMINAL"
    assert outer.is_as_found()
