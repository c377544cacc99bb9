"""Configures the logger ``frith``, for a host that asks for it."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from frith.config import Options
from frith.errors import ConfigurationError
from frith_unix import private

_HANDLER = "frith.log"


class LogOptions(Options):
    """Options of the plugin: ``options={"plugin": {"log": {…}}}``."""

    configure: bool = False
    """Whether to configure logging for the host: one JSON line for each event."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is written."""
    file: Path | None = None
    """File to append to, relative to the workspace; ``None`` for stderr."""


def configure(options: LogOptions, workspace: Path) -> None:
    """Let the logger ``frith`` write to ``options.file`` or stderr, and nowhere else.

    It holds for the whole process; configuring again replaces what was configured here before.

    Raises:
        ConfigurationError: the host has configured structlog, which gets the events already, or
            the file cannot be opened.
    """
    import structlog  # in a host that does not ask for it, nothing may ever be logged

    if structlog.is_configured():
        raise ConfigurationError(
            "options.plugin.log.configure",
            "the host has configured structlog, so the events go there; leave this out",
        )
    handler = _handler(options, workspace)
    handler.set_name(_HANDLER)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("frith")
    for former in [known for known in logger.handlers if known.get_name() == _HANDLER]:
        logger.removeHandler(former)
        former.close()
    logger.addHandler(handler)
    logger.setLevel(options.level.upper())
    logger.propagate = False


def _handler(options: LogOptions, workspace: Path) -> logging.Handler:
    if options.file is None:
        return logging.StreamHandler()
    try:
        file = str(workspace / options.file)
        with suppress(FileExistsError):  # whoever made it may want others to read it
            os.close(private.open_file(file, os.O_WRONLY | os.O_EXCL))
        return logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            "options.plugin.log.file", f"cannot append to it: {error}; choose another file"
        ) from error
