"""Opens the session manager of the workspace, and shows its log."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from typing import TypeVar

from frith import SessionManager
from frith.logs import printable
from frith_cli.config import settings_of
from frith_cli.console import progress
from frith_cli.context import App
from frith_cli.guard import drive, guarded
from frith_cli.streams import tell

_Result = TypeVar("_Result")
_LEVELS = {-1: logging.CRITICAL, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
_REPORTED_BY_COMMANDS = ("session_creation_failed", "process_exited")
"""Warnings that repeat what the command prints anyway."""
_NOT_SHOWN = ("level", "timestamp")


@asynccontextmanager
async def opened(app: App, *, restore: bool = True) -> AsyncIterator[SessionManager]:
    """Open the manager of the workspace; a signal cancels the body, and the manager closes.

    Without ``restore`` the manager takes no session over and changes nothing by opening.

    Raises:
        Interrupted: a signal was received, and the manager has closed.
    """
    config = settings_of(app).config
    manager = SessionManager(config, restore=restore)
    async with guarded() as guard, AsyncExitStack() as stack:
        stack.enter_context(routed_logs(app.verbosity))
        with progress("Opening the workspace") if restore else nullcontext():
            await stack.enter_async_context(manager)
        with guard.within():
            yield manager


def with_manager(
    app: App, work: Callable[[SessionManager], Awaitable[_Result]], *, restore: bool = True
) -> _Result:
    """Return the result of ``work``, called with the manager that :func:`opened` opens.

    This runs on a new event loop.
    """

    async def run() -> _Result:
        async with opened(app, restore=restore) as manager:
            return await work(manager)

    return drive(run)


@contextmanager
def routed_logs(verbosity: int) -> Iterator[None]:
    """Show the log of frith on standard error, unless a plugin such as `log` has the manager's.

    A ``verbosity`` of -1 shows nothing, 0 warnings, 1 events too, 2 debug messages too.
    """
    logger = logging.getLogger("frith")
    handler = _Lines(verbosity)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(_LEVELS[min(verbosity, 2)])
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


class _Lines(logging.Handler):
    """Writes ``frith: warning: EVENT key=value …``."""

    def __init__(self, verbosity: int) -> None:
        super().__init__()
        self._verbosity = verbosity

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``, whose message is a JSON object (see :mod:`frith.logs`)."""
        fields = json.loads(record.getMessage())
        event = fields.pop("event")
        if event in _REPORTED_BY_COMMANDS and not self._verbosity:
            return
        shown = {k: v for k, v in fields.items() if k not in _NOT_SHOWN and v not in ([], {})}
        words = [event, *(f"{key}={value}" for key, value in shown.items())]
        tell(printable(f"frith: {record.levelname.lower()}: {' '.join(words)}"))
