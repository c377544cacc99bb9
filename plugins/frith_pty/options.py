"""The options of the terminal provider `pty`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from frith_terminals.environment import EnvironmentOptions
from frith_terminals.sizes import SizePolicy


class PtyOptions(EnvironmentOptions):
    """How terminals of the provider `pty` work."""

    scrollback: Annotated[int, Field(ge=4096)] = 1024 * 1024
    """Bytes of output kept for each terminal; memory is taken as output arrives."""
    write_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds within which a process must have read what is written to it."""
    size: SizePolicy = SizePolicy.LATEST
    """Whose window gives the size, of several viewers."""
