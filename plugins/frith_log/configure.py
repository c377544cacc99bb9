"""Configuring the logger ``frith`` for hosts that ask for it."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from frith.config import Options
from frith.errors import ConfigurationError
from frith_os import private

_HANDLER = "frith.log"


class LogOptions(Options):
    """Options of the plugin `log`: ``options={"plugin": {"log": {…}}}``."""

    configure: bool = False
    """Whether to configure logging for the host, with one JSON line for each event."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is written."""
    file: Path | None = None
    """File to append to, relative to the workspace; ``None`` for stderr."""


def configure(options: LogOptions, workspace: Path) -> None:
    """Let the logger ``frith`` write only to ``options.file`` or stderr.

    Applies to the whole process. Configuring again replaces the previous handler.

    Raises:
        ConfigurationError: the host has configured structlog, which receives the events already,
            or the file cannot be opened.
    """
    import structlog  # imported only on demand, because it takes long

    if structlog.is_configured():
        raise ConfigurationError(
            "options.plugin.log.configure",
            "the host has configured structlog, which receives the events; remove this option",
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
        with suppress(FileExistsError):  # an existing file keeps its mode
            os.close(private.open_file(file, os.O_WRONLY | os.O_EXCL))
        return logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            "options.plugin.log.file", f"cannot append to it: {error}; choose another file"
        ) from error
