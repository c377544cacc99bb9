"""Logging. Nothing here configures logging for the host.

A host that has configured structlog gets frith's events through it; any other gets JSON lines
through the standard library's logger ``frith``, which it configures as it pleases. A manager may
have a logger of its own instead: see :func:`frith.hookspecs.frith_logger`.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_own_logger: ContextVar[logging.Logger | None] = ContextVar("own_logger", default=None)
"""The logger of the manager that the current task or thread works for."""


@contextmanager
def logged_by(logger: logging.Logger | None) -> Iterator[None]:
    """Log through ``logger`` only, in the block and in tasks that it starts; ``None``: as usual.

    A thread does the same if it runs in a copy of the context, as those of anyio do.
    """
    token = _own_logger.set(logger)
    try:
        yield
    finally:
        _own_logger.reset(token)


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
    """Logs events with fields, through the manager's own logger, the host's structlog or ``frith``.

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
        own = _own_logger.get()
        configured = own is None and host_has_configured_structlog()
        standard = own or logging.getLogger("frith")
        if not configured and not standard.isEnabledFor(getattr(logging, level.upper())):
            return
        import structlog

        target = structlog.get_logger() if configured else _through(standard)
        present = {key: _defused(value) for key, value in fields.items() if value is not None}
        getattr(target, level)(printable(event), **present)


def host_has_configured_structlog() -> bool:
    """Return whether the host has configured structlog, without importing it."""
    return "structlog" in sys.modules and sys.modules["structlog"].is_configured()


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
