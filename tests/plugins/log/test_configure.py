"""The plugin configures logging only for hosts that ask for it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

import frith_log
from frith.config import ManagerConfig
from frith.errors import ConfigurationError
from frith.logs import log

pytestmark = pytest.mark.requirement("R8.2")


def configured(workspace: Path, **options: Any) -> None:
    config = ManagerConfig(workspace=workspace, options={"plugin": {"log": options}})
    frith_log.frith_configure(config)


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
    configured(tmp_path, **options)
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
    configured(tmp_path, configure=True, file="frith.log")
    log.info("session_created", name="login")
    (line,) = map(json.loads, (tmp_path / "frith.log").read_text().splitlines())
    moment = line.pop("timestamp")
    assert line == {"event": "session_created", "level": "info", "name": "login"}
    assert moment.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()) < 3600


def test_stderr_gets_the_lines_when_no_file_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, configure=True)
    log.warning("state_file_corrupted", path="/w")
    output = capsys.readouterr()
    assert json.loads(output.err)["event"] == "state_file_corrupted"
    assert not output.out


def test_lines_below_the_level_are_not_written(tmp_path: Path) -> None:
    configured(tmp_path, configure=True, file="log", level="warning")
    for level in ("debug", "info", "warning", "error"):
        getattr(log, level)(level)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["warning", "error"]


def test_configuring_again_replaces_the_file(tmp_path: Path) -> None:
    configured(tmp_path, configure=True, file="first")
    configured(tmp_path, configure=True, file="second")
    log.info("event")
    assert not (tmp_path / "first").read_text()
    assert len((tmp_path / "second").read_text().splitlines()) == 1


def test_the_lines_do_not_reach_other_handlers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configured(tmp_path, configure=True, file="log")
    log.warning("event")
    assert not caplog.messages


def test_configuring_is_refused_if_the_host_has_configured_structlog(tmp_path: Path) -> None:
    structlog.configure()
    with pytest.raises(ConfigurationError, match="the host has configured structlog") as caught:
        configured(tmp_path, configure=True)
    assert caught.value.key == "options.plugin.log.configure"


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    before = state_of_logging()
    with pytest.raises(ConfigurationError, match="cannot append to it") as caught:
        configured(tmp_path, configure=True, file="missing/directory/log")
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
    with pytest.raises(ConfigurationError) as caught:
        configured(tmp_path, **options)
    assert (caught.value.key, caught.value.suggestion) == (key, suggestion)
