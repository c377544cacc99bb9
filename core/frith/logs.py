"""Logging. Nothing here configures logging for the host.

A host that has configured structlog gets frith's events through it; any other gets JSON lines
through the standard library's logger ``frith``, which it configures as it pleases.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Return ``text`` with control characters, bidirectional marks and surrogates escaped.

    Each becomes ``\xNN`` or ``\uNNNN``, so that no name or output can forge a line, move the cursor
    or fail to be encoded.
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found.group())[1:-1], str(text))


def _defused(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {printable(str(key)): _defused(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_defused(item) for item in value]
    if isinstance(value, BaseException):
        return printable("".join(traceback.format_exception_only(value)).rstrip("\n"))
    return printable(str(value))


class Logger:
    """Logs events with fields, through the host's structlog or the logger ``frith``.

    Each field becomes a JSON value with :func:`printable` texts; ``None`` is left out.
    """

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
        # Importing structlog takes longer than most commands: import it only if the event is shown.
        configured = "structlog" in sys.modules and sys.modules["structlog"].is_configured()
        standard = logging.getLogger("frith")
        if not configured and not standard.isEnabledFor(getattr(logging, level.upper())):
            return
        import structlog

        target = structlog.get_logger() if configured else _through(standard)
        present = {key: _defused(value) for key, value in fields.items() if value is not None}
        getattr(target, level)(printable(event), **present)


def _through(logger: logging.Logger) -> Any:
    import structlog

    return structlog.wrap_logger(
        logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )


log = Logger()
"""The logger that frith and its plugins use."""
