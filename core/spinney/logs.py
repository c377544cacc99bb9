"""Where spinney logs to. Nothing here configures logging for the host.

A host that has configured structlog gets spinney's events through it; any other gets JSON lines
through the standard library's logger ``spinney``, which it configures as it pleases.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import structlog

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return ``text`` with control and bidirectional characters escaped as ``\\xNN`` or ``\\uNNNN``.

    So that what a name or an output carries can neither forge a line nor move a cursor.
    """
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)



def _defused(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list | tuple):
        return [_defused(item) for item in value]
    if isinstance(value, dict):
        return {_defused(key): _defused(item) for key, item in value.items()}
    return value


class Logger:
    """Logs events with fields, through the host's structlog or the logger ``spinney``."""

    def debug(self, event: str, **fields: Any) -> None:
        """Log at level DEBUG."""
        self._log("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log at level INFO."""
        self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log at level WARNING."""
        self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log at level ERROR."""
        self._log("error", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        safe = {key: _defused(value) for key, value in fields.items()}
        target = structlog.get_logger() if structlog.is_configured() else _standard()
        getattr(target, level)(event, **safe)


def _standard() -> Any:
    return structlog.wrap_logger(
        logging.getLogger("spinney"),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )


log = Logger()
"""The logger that spinney and its plugins use."""
