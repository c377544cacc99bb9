"""What the library logs, as readable lines on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from frith.config import ManagerConfig
from frith.logs import printable

_LEVELS = {-1: logging.CRITICAL, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
_TOLD_ANYWAY = ("session_creation_failed", "process_exited")
"""Warnings that the command tells in its own words."""
_NOT_SHOWN = ("level", "timestamp")


@contextmanager
def routed_logs(config: ManagerConfig, verbosity: int) -> Iterator[None]:
    """Show what the logger ``frith`` gets, unless the plugin ``log`` is asked to take it.

    Args:
        config: tells whether it is.
        verbosity: -1 for nothing, 0 for warnings, 1 for events too, 2 for all.
    """
    if config.options.get("plugin", {}).get("log", {}).get("configure"):
        yield
        return
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
        """Write ``record``, whose message is a JSON object as :mod:`frith.logs` makes it."""
        fields = json.loads(record.getMessage())
        event = fields.pop("event")
        if event in _TOLD_ANYWAY and not self._verbosity:
            return
        shown = {k: v for k, v in fields.items() if k not in _NOT_SHOWN and v not in ([], {})}
        said = " ".join([event, *(f"{key}={value}" for key, value in shown.items())])
        line = f"frith: {record.levelname.lower()}: {said}"
        print(printable(line), file=sys.stderr, flush=True)
