"""Asks a yes-or-no question on the terminal, without holding up the event loop."""

from __future__ import annotations

import os
import sys

import anyio


def can_ask() -> bool:
    """Tell whether there is somebody to ask: a terminal to read from and one to write to."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def confirmed(question: str) -> bool:
    """Ask and return whether the answer was yes. Cancelled, it leaves nothing behind."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    await anyio.wait_readable(0)
    return os.read(0, 1024).strip().lower() in {b"y", b"yes"}
