"""The output of the command: results to standard output, everything else to standard error.

Untrusted text (names, branches, paths, messages) is printed with control characters escaped
and is never interpreted as markup.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from frith.logs import printable
from frith_cli.streams import discard, tell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_UNLIMITED = 10_000
"""Width of a table in a pipe, where nothing is cut or wrapped."""


def write(text: str) -> None:
    """Write ``text`` and a line end to standard output, and flush it.

    Raises:
        SystemExit: the reader has gone; with the code of a process that SIGPIPE killed.
    """
    with reader_may_go():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def reader_may_go() -> Iterator[None]:
    """Exit as a process that SIGPIPE killed, without a message, if the body gets EPIPE."""
    try:
        yield
    except BrokenPipeError:
        discard(sys.stdout)
        raise SystemExit(128 + signal.SIGPIPE) from None


def write_json(value: Any) -> None:
    """Write ``value`` to standard output as indented JSON, in ASCII: safe in any locale."""
    write(json.dumps(value, indent=2))


def write_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, optional: Sequence[str] = ()
) -> None:
    """Write a table to standard output: with rules on a terminal, plain columns in a pipe.

    Args:
        columns: the headings.
        rows: the cells.
        optional: columns to omit, in this order, until no word of the others must be broken;
            without them, cells that are too wide are folded.
    """
    lines = (line.rstrip() for line in _table(columns, rows, optional))
    write("\n".join(line for line in lines if line))


def drawn_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], optional: Sequence[str]
) -> list[str]:
    """Return the lines of a table (see :func:`write_table`), as many as the terminal shows."""
    return _table(columns, rows, optional)[: _console(sys.stdout).height]


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], optional: Sequence[str]
) -> list[str]:
    console, cells, omitted = _console(sys.stdout), list(rows), list(optional)
    shown = list(range(len(columns)))
    while True:
        table = _rich_table(
            [columns[index] for index in shown],
            [[row[index] for index in shown] for row in cells],
            ruled=console.is_terminal,
            folded=not optional,
        )
        width = table.__rich_measure__(console, console.options).minimum
        if not omitted or width <= console.width:
            break
        shown.remove(columns.index(omitted.pop(0)))
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


def _rich_table(
    columns: Iterable[str], rows: Iterable[Sequence[str]], *, ruled: bool, folded: bool
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if ruled else None, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold" if folded else "ellipsis")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def note(text: str) -> None:
    """Print ``text`` on standard error."""
    tell(f"frith: {printable(text)}")


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show ``text`` on a terminal while the body runs; show nothing in a pipe."""
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
