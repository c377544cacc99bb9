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
from itertools import compress
from typing import TYPE_CHECKING, Any, TextIO

from frith.logs import printable
from frith_cli.streams import discard, tell

if TYPE_CHECKING:
    from rich.console import Console

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
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console, cells = _console(sys.stdout), list(rows)
    for omitted in range(len(optional) + 1):
        table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
        shown = [name not in optional[:omitted] for name in columns]
        for column in compress(columns, shown):
            table.add_column(Text(column), overflow="ellipsis" if optional else "fold")
        for row in cells:
            table.add_row(*(Text(printable(cell)) for cell in compress(row, shown)))
        if table.__rich_measure__(console, console.options).minimum <= console.width:
            break
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


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

    console = Console(file=file)
    return console if console.is_terminal else Console(file=file, width=_UNLIMITED)
