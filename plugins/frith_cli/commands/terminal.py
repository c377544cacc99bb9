"""``send``, ``keys`` and ``tail``: input and output of a session's terminal."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from select import PIPE_BUF

import anyio

from frith import Session
from frith.ports import Chunk, Terminal
from frith_cli.attach.keys import sent_for
from frith_cli.attach.modes import Modes
from frith_cli.attach.shown_in_itself import Mark, without_marks
from frith_cli.attach.tty import CANCEL, window_size
from frith_cli.console import note, reader_may_go
from frith_cli.context import App, Interrupted
from frith_cli.opening import opened
from frith_cli.sessions import reachable, select

_ENTER = "\r"
_SECONDS_TO_LEAVE = 1.0


async def send(app: App, *, given: str, text: str, no_enter: bool) -> int:
    """Type ``text`` into the session named ``given``; each line end is the key Enter."""
    typed = text.replace("\r\n", _ENTER).replace("\n", _ENTER) + ("" if no_enter else _ENTER)
    async with _reached(app, given) as (terminal, _):
        await terminal.write(os.fsencode(typed))
    return 0


async def keys(app: App, *, given: str, names: Sequence[str]) -> int:
    """Press the keys called ``names`` in the session named ``given``."""
    async with _reached(app, given) as (terminal, _):
        modes = Modes()
        if screen := await terminal.screen():
            modes.feed(screen.data)
        application = modes.application_cursor_keys
        await terminal.write(b"".join(sent_for(name, application=application) for name in names))
    return 0


async def tail(app: App, *, given: str, lines: int | None, follow: bool) -> int:
    """Print what the session named ``given`` has written, byte for byte, or its last ``lines``.

    With ``follow``, continue until the process has ended.

    Raises:
        ShownInItselfError: the output goes to the session's own terminal, and would be repeated.
    """
    async with (
        _reached(app, given, ended=True) as (terminal, session),
        terminal.attach() as view,
        _restoring() as show,
    ):
        mark = Mark(session) if follow and sys.stdout.isatty() else None
        if mark:
            await _write(mark.sequence)
        kept = without_marks(view.snapshot)
        await show(kept if lines is None else _last(kept, lines))
        if not follow:
            return 0
        has_ended = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_if_unread, tasks.cancel_scope)
            async for piece in view:
                if isinstance(piece, Chunk):
                    if mark:
                        mark.look(piece.data)
                    await show(piece.data)
                else:
                    note(f"{piece.missed} bytes were skipped: the output came too fast.")
            has_ended = True
            tasks.cancel_scope.cancel()
        if not has_ended:
            raise Interrupted(signal.SIGPIPE)
    return 0


@asynccontextmanager
async def _restoring() -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """Yield a function that prints output; restore the modes of the terminal afterwards."""
    if not sys.stdout.isatty():
        yield _write
        return
    modes = Modes()

    async def show(output: bytes) -> None:
        modes.feed(output)
        await _write(output)

    await _write(modes.begin())
    try:
        yield show
    finally:
        with anyio.move_on_after(_SECONDS_TO_LEAVE, shield=True), suppress(OSError):
            size = window_size(sys.stdout.fileno())
            await _write(CANCEL + modes.leave(size.columns if size else 0))


async def _write(data: bytes) -> None:
    """Write ``data`` to standard output; can be cancelled while the reader does not read."""
    out, rest = sys.stdout.fileno(), memoryview(data)
    with reader_may_go():
        while rest:
            with suppress(PermissionError):  # from epoll_ctl(2) for a file, which never blocks
                await anyio.wait_writable(out)
            rest = rest[os.write(out, rest[:PIPE_BUF]) :]


async def _cancel_if_unread(scope: anyio.CancelScope) -> None:
    """Cancel ``scope`` once standard output, if it is a pipe, is no longer read.

    Raises nothing, because writing may fail at the same moment.
    """
    out = sys.stdout.fileno()
    if stat.S_ISFIFO(os.fstat(out).st_mode):
        await anyio.wait_readable(out)  # the write end is readable once the read end is closed
        scope.cancel()


def _last(output: bytes, lines: int) -> bytes:
    start = len(output) - output.endswith(b"\n")
    for _ in range(lines):
        start = output.rfind(b"\n", 0, start)
        if start < 0:
            return output
    return output[start + 1 :]


@asynccontextmanager
async def _reached(
    app: App, given: str, *, ended: bool = False
) -> AsyncIterator[tuple[Terminal, Session]]:
    """Open the terminal of a session, and leave the session to its host."""
    async with opened(app, restore=False) as manager:
        session = select(manager.get_all_sessions(), given)
        async with reachable(manager, session):
            terminal = await manager.open_terminal(session.id, ended=ended)
        yield terminal, session
