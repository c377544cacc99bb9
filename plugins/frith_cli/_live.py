"""A table on the whole terminal, drawn again and again.

Whoever draws it runs sessions meanwhile: neither a terminal that takes nothing (Ctrl-S, a line
that hangs) nor Ctrl-Z may keep it from answering those who want one of them.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from anyio import move_on_after

from frith_cli._app import Interrupted
from frith_cli._console import drawn_table
from frith_cli._tty import CANCEL, output_tty

Draw = Callable[[Iterable[Sequence[str]]], Awaitable[None]]

_ENTER = b"\x1b[?1049h\x1b[?25l"
"""The alternate screen, without a cursor."""
_LEAVE = CANCEL + b"\x1b[?25h\x1b[?1049l"
_PATIENCE = 0.5
"""Seconds that a terminal may take to be given back."""


@asynccontextmanager
async def live_table(columns: Sequence[str], less_needed: Sequence[str]) -> AsyncIterator[Draw]:
    """Show a table on the terminal of standard output; yields what draws its rows.

    It is gone afterwards. A narrow terminal does not show all columns: see ``write_table``.

    Raises:
        Interrupted: the terminal is gone.
    """
    with output_tty() as terminal, _not_suspended():

        async def draw(rows: Iterable[Sequence[str]]) -> None:
            lines = "\x1b[K\r\n".join(drawn_table(columns, rows, less_needed))
            frame = f"\x1b[H{lines}\x1b[K\x1b[J"
            if not await terminal.write(frame.encode(sys.stdout.encoding, "replace")):
                raise Interrupted(signal.SIGHUP)

        await terminal.write(_ENTER)
        try:
            yield draw
        finally:
            with move_on_after(_PATIENCE, shield=True):
                await terminal.write(_LEAVE)


@contextmanager
def _not_suspended() -> Iterator[None]:
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
