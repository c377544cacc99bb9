"""Errors of terminals."""

from __future__ import annotations

from collections.abc import Sequence

from frith.errors._root import FrithError


class TerminalError(FrithError):
    """A terminal operation failed."""

    code = "TERMINAL_FAILED"


class SpawnError(TerminalError):
    """A process could not be started."""

    code = "SPAWN_FAILED"
    command: tuple[str, ...]
    reason: str

    def __init__(self, command: Sequence[str], reason: str) -> None:
        super().__init__(
            f"Cannot start {' '.join(command)!r}: {reason}. Check the command, then try again."
        )
        self.command = tuple(command)
        self.reason = reason


class CommandNotFoundError(SpawnError):
    """The command does not exist or may not be executed."""

    code = "COMMAND_NOT_FOUND"


class WorkingDirectoryError(SpawnError):
    """The working directory of the process does not exist or cannot be entered."""

    code = "WORKING_DIRECTORY"


class TerminalClosedError(TerminalError):
    """The terminal's process has ended, or the terminal was closed."""

    code = "TERMINAL_CLOSED"


class LineTooLongError(TerminalError):
    """A line is longer than a terminal in canonical mode keeps; the rest would be lost."""

    code = "LINE_TOO_LONG"
    length: int
    limit: int

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"A line of {length} bytes would be cut by the terminal, which keeps {limit}. "
            "Send shorter lines."
        )
        self.length = length
        self.limit = limit


class TerminalBusyError(TerminalError):
    """The process does not read its terminal; part of a write may have been accepted.

    Attributes:
        written: how many bytes were accepted before the deadline.
    """

    code = "TERMINAL_BUSY"
    written: int
    total: int

    def __init__(self, written: int, total: int) -> None:
        super().__init__(
            f"The process does not read its terminal: {written} of {total} bytes accepted. "
            "Send the rest once it reads."
        )
        self.written = written
        self.total = total


class ReadOnlyViewError(TerminalError):
    """A view that was opened read-only passes on no input."""

    code = "VIEW_READ_ONLY"

    def __init__(self) -> None:
        super().__init__("This view is read-only. Open one that is not to send input.")
