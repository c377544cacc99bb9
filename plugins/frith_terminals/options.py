"""The options that both terminals have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from frith_terminals.environment import EnvironmentOptions


class SizePolicy(StrEnum):
    """Which of several viewers' windows gives a terminal its size."""

    LATEST = "latest"
    """The latest that a viewer gave."""
    SMALLEST = "smallest"
    """As many rows and columns as every viewer can show."""


class TerminalOptions(EnvironmentOptions):
    """The options that both terminal providers share."""

    scrollback: Annotated[int, Field(ge=4096)] = 1024 * 1024
    """Bytes of output kept for each terminal; memory is taken as output arrives."""
    write_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds within which a process must have read what is written to it."""
    size: SizePolicy = SizePolicy.LATEST
    """Which of several viewers, in all hosts together, gives the size."""
