"""What goes to a session's terminal and comes from it: ``send``, ``keys``, ``tail``."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence

from spinney import Session
from spinney.ports import Chunk, Terminal
from spinney_cli._app import App
from spinney_cli._console import note, while_read, write_bytes
from spinney_cli._guard import Guard, drive
from spinney_cli._keys import sent_for
from spinney_cli._loops import Mark, without_marks
from spinney_cli._modes import Modes
from spinney_cli._opening import opened
from spinney_cli._reaching import terminal_of
from spinney_cli._select import select

_ENTER = "\r"


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
        async with terminal.attach() as view:
            mark = Mark(session) if follow and sys.stdout.isatty() else None
            if mark:
                await write_bytes(mark.sequence)
            kept = without_marks(view.snapshot)
            await write_bytes(kept if lines is None else _last(kept, lines))
            if not follow:
                return
            async with while_read():
                async for piece in view:
                    if isinstance(piece, Chunk):
                        if mark:
                            mark.look(piece.data)
                        await write_bytes(piece.data)
                    else:
                        note(f"{piece.missed} bytes came too fast to be printed here.")

    return _with_terminal(app, given, show, ended=True)


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
