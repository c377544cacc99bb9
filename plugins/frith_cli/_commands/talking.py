"""What goes to a session's terminal and comes from it: ``send``, ``keys``, ``tail``."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from anyio import move_on_after

from frith import Session
from frith.ports import Chunk, Terminal
from frith_cli._app import App
from frith_cli._console import note, while_read, write_bytes
from frith_cli._guard import Guard, drive
from frith_cli._keys import sent_for
from frith_cli._loops import Mark, without_marks
from frith_cli._modes import Modes
from frith_cli._opening import opened
from frith_cli._reaching import terminal_of
from frith_cli._select import select
from frith_cli._tty import CANCEL, window_size

_ENTER = "\r"
_SECONDS_TO_LEAVE = 1.0


def send(app: App, given: str, text: str, *, enter: bool) -> int:
    """Type ``text`` into the session that ``given`` names; each line end is the key Enter."""
    typed = text.replace("\r\n", _ENTER).replace("\n", _ENTER) + (_ENTER if enter else "")

    async def write(terminal: Terminal, session: Session) -> None:
        await terminal.write(os.fsencode(typed))

    return _with_terminal(app, given, write)


def keys(app: App, given: str, names: Sequence[str]) -> int:
    """Press the keys called ``names`` in the session that ``given`` names."""

    async def press(terminal: Terminal, session: Session) -> None:
        modes = Modes()
        if screen := await terminal.screen():
            modes.feed(screen.data)
        application = modes.application_cursor_keys
        await terminal.write(b"".join(sent_for(name, application=application) for name in names))

    return _with_terminal(app, given, press)


def tail(app: App, given: str, *, lines: int | None, follow: bool) -> int:
    """Print what the session that ``given`` names has written, as it was written.

    Args:
        app: what the command was given.
        given: which session.
        lines: how many, the last; all that is kept if not given.
        follow: whether to go on until its process has ended.

    Raises:
        ShownInItselfError: it would be printed in its own terminal, and printed again.
    """

    async def show(terminal: Terminal, session: Session) -> None:
        async with terminal.attach() as view, _printing() as show_bytes:
            mark = Mark(session) if follow and sys.stdout.isatty() else None
            if mark:
                await write_bytes(mark.sequence)
            kept = without_marks(view.snapshot)
            await show_bytes(kept if lines is None else _last(kept, lines))
            if not follow:
                return
            async with while_read():
                async for piece in view:
                    if isinstance(piece, Chunk):
                        if mark:
                            mark.look(piece.data)
                        await show_bytes(piece.data)
                    else:
                        note(f"{piece.missed} bytes came too fast to be printed here.")

    return _with_terminal(app, given, show, ended=True)


@asynccontextmanager
async def _printing() -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """Yield what prints output. What that changes in a terminal is brought back afterwards."""
    if not sys.stdout.isatty():
        yield write_bytes
        return
    modes = Modes()

    async def show(output: bytes) -> None:
        modes.feed(output)
        await write_bytes(output)

    await write_bytes(modes.begin())
    try:
        yield show
    finally:
        with move_on_after(_SECONDS_TO_LEAVE, shield=True), suppress(OSError):
            size = window_size(sys.stdout.fileno())
            await write_bytes(CANCEL + modes.leave(size.columns if size else 0))


def _last(output: bytes, lines: int) -> bytes:
    start = len(output) - output.endswith(b"\n")
    for _ in range(lines):
        start = output.rfind(b"\n", 0, start)
        if start < 0:
            return output
    return output[start + 1 :]


def _with_terminal(
    app: App,
    given: str,
    work: Callable[[Terminal, Session], Awaitable[None]],
    *,
    ended: bool = False,
) -> int:
    """Do ``work`` with a session's terminal. Whoever runs the session, or nobody, goes on so."""

    async def reach(guard: Guard) -> None:
        async with opened(app, guard, restore=False) as manager:
            session = select(manager.get_all_sessions(), given)
            await work(await terminal_of(manager, session, ended=ended), session)

    drive(reach)
    return 0
