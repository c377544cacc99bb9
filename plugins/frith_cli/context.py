"""The argument of every command (:class:`App`), exit codes, and the end by a signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frith_cli.config import Settings

REFUSED = 1
"""Exit code: the operation was refused or failed."""
USAGE = 2
"""Exit code: the command line or the configuration is wrong; nothing was tried."""
PROCESS_FAILED = 3
"""Exit code: the process of the session failed."""
TIMED_OUT = 124
"""Exit code: the time limit was reached, as in timeout(1)."""


class Interrupted(Exception):  # noqa: N818 - a requested end, not an error
    """A signal ended the command, after cleaning up."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}")
        self.number = number


@dataclass
class App:
    """The options that precede the command name. click passes it to every command."""

    workspace: str | None = None
    flags: tuple[tuple[str, str, str], ...] = ()
    """Settings given as flags: the flag as written, its key, its value."""
    verbosity: int = 0
    debug: bool = False
    as_json: bool = False
    """Whether to print JSON, errors included."""
    settings: Settings | None = None
    """The settings, once they have been read."""

    def take(self, options: Mapping[str, Any]) -> None:
        """Set the workspace and the flags from click's ``options``, by their names."""
        self.workspace = options.get("workspace")
        settings = options.get("settings") or ()
        self.flags = tuple((f"--set {key}={value}", key, value) for key, value in settings)
        if store := options.get("store"):
            self.flags += ((f"--store {store}", "store", store),)
