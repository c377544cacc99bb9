"""The options of the status provider `status`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from frith.config import Options

Seconds = Annotated[float, Field(gt=0)]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return pattern


class Rule(Options):
    """The status of a program that shows certain text: ``{program, pattern, status}``."""

    program: str
    """Name of the program, without directories."""
    pattern: Annotated[str, AfterValidator(_compiles)]
    """Regular expression, searched in the last lines of output without control sequences."""
    status: Literal["active", "waiting", "idle"]


class StatusOptions(Options):
    """When and how the status of a process is determined."""

    settle: Seconds = 0.3
    """Seconds of silence after which the status of a process is determined."""
    quiet: Seconds = 10.0
    """Seconds of silence after which a question on the screen makes a process ``waiting``."""
    idle: Seconds = 300.0
    """Seconds of silence after which a process that is not ``waiting`` is ``idle``."""
    stuck: Seconds = 1800.0
    """Seconds of silence after which ``frith_session_stuck`` is called."""
    remind: Seconds = 3600.0
    """Seconds after which it is called again."""
    rules: tuple[Rule, ...] = ()
    """Your own rules; they come before the built-in ones."""
