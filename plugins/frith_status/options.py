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
        raise ValueError(f"is no regular expression: {error}") from error
    return pattern


class Rule(Options):
    """What it means that a program shows something: ``{program, pattern, status}``."""

    program: str
    """Name of the program, without directories."""
    pattern: Annotated[str, AfterValidator(_compiles)]
    """Regular expression, looked for in the last lines that were written, without colours."""
    status: Literal["active", "waiting", "idle"]


class StatusOptions(Options):
    """How the status of a process is found out."""

    settle: Seconds = 0.3
    """Seconds of silence after which a process is looked at."""
    quiet: Seconds = 10.0
    """Seconds of silence after which a question on the screen counts as one to the user."""
    idle: Seconds = 300.0
    """Seconds of silence after which a process that does not wait for the user is ``idle``."""
    stuck: Seconds = 1800.0
    """Seconds of silence after which ``frith_session_stuck`` is called."""
    remind: Seconds = 3600.0
    """Seconds after which it is called again."""
    rules: tuple[Rule, ...] = ()
    """Rules of your own; they come before the built-in ones."""
