"""Where the core logs to, and how field values are escaped."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from frith.logs import log, printable
from frith.model import SessionStatus


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """The log of a host that has configured a level only."""
    found: list[dict[str, Any]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(record.getMessage()))

    logger, handler = logging.getLogger("frith"), Handler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.requirement("R8.3")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain täxt – 日本", "plain täxt – 日本"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x7f\x85\x9b", r"\x7f\x85\x9b"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028\u2029\u2066\u200f\u061c", r"\u2028\u2029\u2066\u200f\u061c"),
        ("\udc80", r"\udc80"),
    ],
)
def test_what_could_forge_a_line_or_move_a_cursor_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.requirement("R8.3")
@given(st.text(st.characters()))
def test_whatever_a_text_holds_it_makes_one_line_that_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert shown == printable(shown)


@pytest.mark.requirement("R8.1")
@pytest.mark.requirement("R8.2")
def test_a_host_that_configured_nothing_gets_json_through_the_standard_logger(
    lines: list[dict[str, Any]],
) -> None:
    log.info("session_created", session_id="x", nothing=None)
    (line,) = lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "session_created", "level": "info", "session_id": "x"}
    assert not structlog.is_configured()


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_host_that_configured_structlog_gets_events_through_it(
    level: str, logged: list[Any], lines: list[Any]
) -> None:
    getattr(log, level)("something", path="/x")
    assert logged == [{"event": "something", "path": "/x", "log_level": level}]
    assert lines == []


def test_the_level_of_the_standard_logger_holds(lines: list[Any]) -> None:
    log.debug("quiet")
    assert lines == []


@pytest.mark.requirement("R8.2")
def test_nothing_is_configured_for_the_host() -> None:
    logger = logging.getLogger("frith")
    before = (logger.level, list(logger.handlers), list(logging.getLogger().handlers))
    log.error("something")
    assert (logger.level, list(logger.handlers), list(logging.getLogger().handlers)) == before
    assert not structlog.is_configured()


@pytest.mark.requirement("R8.3")
def test_whatever_a_field_holds_it_becomes_a_harmless_json_value(lines: list[Any]) -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd\n"

    log.error(
        "some\nthing",
        text="a\nb",
        number=1.5,
        flag=True,
        status=SessionStatus.IDLE,
        deep={"k\n": [Odd(), None, {"x": ("\x1b",)}]},
        error=ValueError("bad\nvalue"),
    )
    (line,) = lines
    assert line["event"] == r"some\nthing"
    assert line["text"] == r"a\nb"
    assert (line["number"], line["flag"], line["status"]) == (1.5, True, "idle")
    assert line["deep"] == {r"k\n": [r"odd\n", None, {"x": [r"\x1b"]}]}
    assert line["error"] == r"ValueError: bad\nvalue"
