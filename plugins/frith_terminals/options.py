"""The options that both terminals have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from frith.config import Options


class SizePolicy(StrEnum):
    """Which of several viewers' windows gives a terminal its size."""

    LATEST = "latest"
    """The latest that a viewer gave."""
    SMALLEST = "smallest"
    """As many rows and columns as every viewer can show."""


class TerminalOptions(Options):
    """The options that both terminal providers share.

    Of the host's environment variables the processes inherit most. A name of one may contain ``*``
    for any characters. The variables of a request are always set.
    """

    term: Annotated[str, Field(min_length=1)] = "xterm-256color"
    """``TERM`` of the processes, unless a request's environment sets another."""
    inherit: tuple[str, ...] = ()
    """Variables that are inherited, contrary to the default."""
    drop: tuple[str, ...] = ()
    """Further variables that are not inherited."""
    scrollback: Annotated[int, Field(ge=4096)] = 1024 * 1024
    """Bytes of output kept for each terminal; memory is taken as output arrives."""
    write_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds within which a process must have read what is written to it."""
    size: SizePolicy = SizePolicy.LATEST
    """Which of several viewers, in all hosts together, gives the size."""
