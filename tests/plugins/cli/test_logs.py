"""What the library logs, as the command shows it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from frith.logs import log
from frith_cli.opening import routed_logs

from .conftest import Frith


def _log_one_of_each() -> None:
    log.debug("step_taken", step=1)
    log.info("session_created", name="one", exit_code=0, notes=())
    log.warning("session_creation_failed", code="X")
    log.warning("state_file_corrupted", path="/a\nb", reason="cut off")


@pytest.mark.requirement("R8.3")
@pytest.mark.parametrize(
    ("verbosity", "events"),
    [
        (-1, []),
        (0, ["state_file_corrupted"]),
        (1, ["session_created", "session_creation_failed", "state_file_corrupted"]),
        (
            2,
            ["step_taken", "session_created", "session_creation_failed", "state_file_corrupted"],
        ),
    ],
)
def test_the_verbosity_selects_the_events(
    verbosity: int, events: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with routed_logs(verbosity):
        _log_one_of_each()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[2] for line in lines] == events


def test_an_event_is_a_readable_line(capsys: pytest.CaptureFixture[str]) -> None:
    with routed_logs(1):
        _log_one_of_each()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "frith: info: session_created name=one exit_code=0"
    assert lines[2] == r"frith: warning: state_file_corrupted path=/a\nb reason=cut off"


def test_the_logger_is_restored() -> None:
    logger = logging.getLogger("frith")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with routed_logs(2):
        pass
    assert (logger.level, logger.propagate, logger.handlers) == before


@pytest.mark.requirement("R8.2")
def test_the_plugin_log_replaces_the_log_of_the_command(frith: Frith, repository: Path) -> None:
    (repository / ".frith.toml").write_text(
        '[options.plugin.log]\nconfigure = true\nfile = ".git/frith.log"\n'
    )
    logger = logging.getLogger("frith")
    before = (logger.level, logger.propagate, list(logger.handlers))
    created = frith("--verbose", "new", "one", "--no-attach")
    assert created.err.startswith("frith: Created one")
    lines = (repository / ".git" / "frith.log").read_text().splitlines()
    assert "session_created" in [json.loads(line)["event"] for line in lines]
    assert (logger.level, logger.propagate, logger.handlers) == before


def test_verbose_shows_events(frith: Frith) -> None:
    created = frith("-v", "new", "one", "--no-attach")
    assert "frith: info: session_created" in created.err
