"""The standard streams where they are closed or take nothing more."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def open_closed() -> None:
    """Put the null device where a standard stream is closed, before a file gets its descriptor."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - open to the end
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def tell(line: str) -> None:
    """Print ``line`` on standard error; that it cannot be told is no reason to fail."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let ``stream`` go nowhere: the interpreter flushes once more at exit, and would complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
