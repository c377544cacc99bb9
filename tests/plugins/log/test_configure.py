"""The plugin gives a manager a log of its own, if the host asks for it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

import frith_log
from frith.config import ManagerConfig
from frith.errors import ConfigurationError
from frith.logs import log, logged_by
from frith.plugins import Plugins

pytestmark = pytest.mark.requirement("R8.2")


@contextmanager
def configured(workspace: Path, **options: Any) -> Iterator[None]:
    """Log in the block as a manager with ``options`` does."""
    plugins = Plugins()
    plugins.add("log", frith_log)
    plugins.configure(ManagerConfig(workspace=workspace, options={"plugin": {"log": options}}))
    try:
        with logged_by(plugins.logger):
            yield
    finally:
        plugins.close()


def state_of_logging() -> object:
    known = [logging.root, *map(logging.getLogger, ["frith", "structlog"])]
    return (
        structlog.is_configured(),
        [(logger.level, logger.propagate, logger.disabled, *logger.handlers) for logger in known],
    )


@pytest.mark.parametrize("options", [{}, {"configure": False, "level": "debug", "file": "x.log"}])
def test_logging_is_not_configured_without_the_option(
    options: dict[str, Any], tmp_path: Path
) -> None:
    before = state_of_logging()
    with configured(tmp_path, **options):
        log.info("event")
        assert state_of_logging() == before
    assert not list(tmp_path.iterdir())


def test_importing_the_plugin_configures_nothing_and_imports_nothing_more() -> None:
    script = (
        "import logging, sys, structlog; before = logging.root.manager.loggerDict.copy();"
        "import frith_log;"
        "assert not structlog.is_configured() and not logging.root.handlers;"
        "assert 'frith' not in logging.root.manager.loggerDict;"
        "assert 'frith_log.configure' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.requirement("R8.1")
def test_a_file_gets_json_lines_with_iso_timestamps_in_utc(tmp_path: Path) -> None:
    with configured(tmp_path, configure=True, file="frith.log"):
        log.info("session_created", name="login")
    (line,) = map(json.loads, (tmp_path / "frith.log").read_text().splitlines())
    moment = line.pop("timestamp")
    assert line == {"event": "session_created", "level": "info", "name": "login"}
    assert moment.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()) < 3600


def test_stderr_gets_the_lines_when_no_file_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path, configure=True):
        log.warning("state_file_corrupted", path="/w")
    output = capsys.readouterr()
    assert json.loads(output.err)["event"] == "state_file_corrupted"
    assert not output.out


def test_lines_below_the_level_are_not_written(tmp_path: Path) -> None:
    with configured(tmp_path, configure=True, file="log", level="warning"):
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)(level)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["warning", "error"]


def test_the_lines_do_not_reach_other_handlers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = state_of_logging()
    with configured(tmp_path, configure=True, file="log"):
        assert state_of_logging() == before
        log.warning("event")
        assert not caplog.messages
    log.warning("outside")
    assert [json.loads(message)["event"] for message in caplog.messages] == ["outside"]


def test_a_host_that_configures_structlog_later_does_not_get_the_lines(tmp_path: Path) -> None:
    with configured(tmp_path, configure=True, file="log"), capture_logs() as captured:
        structlog.configure(processors=structlog.get_config()["processors"])
        log.warning("event")
    assert not captured
    assert "event" in (tmp_path / "log").read_text()


def test_configuring_is_refused_if_the_host_has_configured_structlog(tmp_path: Path) -> None:
    structlog.configure()
    refused = pytest.raises(ConfigurationError, match="the host has configured structlog")
    with refused as caught, configured(tmp_path, configure=True):
        pass
    assert caught.value.key == "options.plugin.log.configure"


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    before = state_of_logging()
    refused = pytest.raises(ConfigurationError, match="cannot append to it")
    with refused as caught, configured(tmp_path, configure=True, file="missing/directory/log"):
        pass
    assert caught.value.key == "options.plugin.log.file"
    assert state_of_logging() == before


@pytest.mark.parametrize(
    ("options", "key", "suggestion"),
    [
        ({"configrue": True}, "options.plugin.log.configrue", "configure"),
        ({"level": "loud"}, "options.plugin.log.level", None),
        ({"configure": "perhaps"}, "options.plugin.log.configure", None),
    ],
)
def test_an_invalid_option_is_an_error_that_names_it(
    options: dict[str, Any], key: str, suggestion: str | None, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught, configured(tmp_path, **options):
        pass
    assert (caught.value.key, caught.value.suggestion) == (key, suggestion)
