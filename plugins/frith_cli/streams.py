"""The standard streams, also where they are closed or cannot be written."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def open_closed() -> None:
    """Open the null device for each closed standard stream, so that no file gets its descriptor."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - never closed
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def tell(line: str) -> None:
    """Print ``line`` on standard error. A failure to write it is ignored."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Redirect ``stream`` to the null device, because the interpreter flushes it again at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
