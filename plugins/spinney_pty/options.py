"""The options of the terminal provider `pty`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spinney.config import Options
from spinney_unix.sizes import SizePolicy


class PtyOptions(Options):
    """How terminals of the provider `pty` work."""

    scrollback: Annotated[int, Field(ge=4096)] = 1024 * 1024
    """Bytes of output kept for each terminal; memory is taken as output arrives."""
    term: Annotated[str, Field(min_length=1)] = "xterm-256color"
    """``TERM`` of the processes, unless a request's environment sets another."""
    write_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds within which a process must have read what is written to it."""
    size: SizePolicy = SizePolicy.LATEST
    """Whose window gives the size, of several viewers."""
