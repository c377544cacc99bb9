"""How the command prints: results to standard output, all else to standard error.

Text from outside (names, branches, paths, messages) is printed with control characters escaped
and never read as markup.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from select import PIPE_BUF
from typing import TYPE_CHECKING, Any, Literal, TextIO

from anyio import (
    CancelScope,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    wait_readable,
    wait_writable,
)

from frith.logs import printable
from frith_cli._streams import discard, tell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_UNLIMITED = 10_000
"""Width of a table that goes to a pipe: nothing is cut or wrapped there."""


def write(text: str) -> None:
    """Write ``text`` and a line end to standard output, at once.

    Raises:
        SystemExit: nobody reads it any more; with the code of a process that SIGPIPE killed.
    """
    with _reader_may_go():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


async def write_bytes(data: bytes) -> None:
    """Write ``data`` to standard output as it is; cancelled, it waits for no reader.

    Raises:
        SystemExit: nobody reads it any more; see :func:`write`.
    """
    out, rest = sys.stdout.fileno(), memoryview(data)
    with _reader_may_go():
        while rest:
            with suppress(PermissionError):  # a file, which never keeps a writer waiting
                await wait_writable(out)
            rest = rest[os.write(out, rest[:PIPE_BUF]) :]


@asynccontextmanager
async def while_read() -> AsyncIterator[None]:
    """Cancel what runs inside once nobody reads standard output any more, if it is a pipe.

    Raises:
        SystemExit: that has happened; see :func:`write`.
    """
    failure: BaseException | None = None
    async with create_task_group() as tasks:
        gone = Event()
        tasks.start_soon(_watch_reader, gone, tasks.cancel_scope)
        try:
            yield
        except get_cancelled_exc_class():
            raise
        except BaseException as error:  # raised below: the task group would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if gone.is_set():
        raise SystemExit(128 + signal.SIGPIPE)
    if failure is not None:
        raise failure


async def _watch_reader(gone: Event, scope: CancelScope) -> None:
    out = sys.stdout.fileno()
    if stat.S_ISFIFO(os.fstat(out).st_mode):
        await wait_readable(out)  # the writing end of a pipe is when the other is closed
        gone.set()
        scope.cancel()


@contextmanager
def _reader_may_go() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        discard(sys.stdout)
        raise SystemExit(128 + signal.SIGPIPE) from None


def write_json(value: Any) -> None:
    """Write ``value`` to standard output as indented JSON, in ASCII: safe in any locale."""
    write(json.dumps(value, indent=2))


def write_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, less_needed: Sequence[str] = ()
) -> None:
    """Write a table to standard output: ruled on a terminal, plain columns in a pipe.

    Args:
        columns: their heads.
        rows: their cells.
        less_needed: columns to leave out, the first first, until no word of the others must be
            broken; without, what is too wide is folded.
    """
    console = _console(sys.stdout)
    table = _fitting(console, columns, rows, less_needed, ruled=console.is_terminal)
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    write("\n".join(line for line in lines if line))


def drawn_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], less_needed: Sequence[str]
) -> list[str]:
    """Return the lines of a table as wide and at most as high as the terminal.

    See :func:`write_table` for ``less_needed``.
    """
    console = _console(sys.stdout)
    table = _fitting(console, columns, rows, less_needed, ruled=True)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()[: console.height]


def _fitting(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    less_needed: Sequence[str],
    *,
    ruled: bool,
) -> Table:
    whole, left = list(rows), list(less_needed)
    shown = list(range(len(columns)))
    while True:
        table = _table(
            [columns[index] for index in shown],
            [[row[index] for index in shown] for row in whole],
            ruled=ruled,
            overflow="ellipsis" if less_needed else "fold",
        )
        if not left or table.__rich_measure__(console, console.options).minimum <= console.width:
            return table
        shown.remove(columns.index(left.pop(0)))


def _table(
    columns: Iterable[str],
    rows: Iterable[Sequence[str]],
    *,
    ruled: bool,
    overflow: Literal["ellipsis", "fold"],
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if ruled else None, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow=overflow)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def note(text: str) -> None:
    """Tell the user ``text`` on standard error."""
    tell(f"frith: {printable(text)}")


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show that ``text`` is under way, on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.text import Text

    with _console(sys.stderr).status(Text(printable(text))):
        yield


def _console(file: TextIO) -> Console:
    from rich.console import Console

    plain = Console(file=file, markup=False, emoji=False, highlight=False)
    return plain if plain.is_terminal else Console(file=file, width=_UNLIMITED)
