"""The log of one manager, for hosts without logging of their own."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from frith.config import Options
from frith.errors import ConfigurationError
from frith.hookspecs import hookimpl
from frith.logs import host_has_configured_structlog
from frith_os import private


class LogOptions(Options):
    """Options of the plugin `log`: ``options={"plugin": {"log": {…}}}``."""

    configure: bool = False
    """Whether to write the lines of the manager, one JSON object each, to standard error or a
    file. They then go nowhere else."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is written."""
    file: Path | None = None
    """File to append to, relative to the workspace; ``None`` for standard error."""


class OwnLog:
    """Writes the lines of one manager. Its logger belongs to no hierarchy of the process."""

    def __init__(self, options: LogOptions, workspace: Path) -> None:
        """Check that the host has no logging; opened as a context."""
        if host_has_configured_structlog():
            raise ConfigurationError(
                "options.plugin.log.configure",
                "the host has configured structlog, which receives the events; remove this option",
            )
        self._options = options
        self._workspace = workspace
        self._logger = logging.Logger("frith", options.level.upper())

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            ConfigurationError: it cannot be opened.
        """
        self._handler = _handler(self._options, self._workspace)
        self._handler.setFormatter(logging.Formatter("%(message)s"))
        self._logger.addHandler(self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._logger.removeHandler(self._handler)
        self._handler.close()

    @hookimpl
    def frith_logger(self) -> logging.Logger:
        """Return the logger, for all lines of the manager."""
        return self._logger


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
