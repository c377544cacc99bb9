"""The content of a name, branch or reason cannot forge a log line."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

import frith_log
from frith.errors import SessionVetoed
from frith.events import SessionCreated, SessionCreationFailed, StoreCorrupted
from frith.logs import log, printable
from frith.model import Session, SessionStatus, now

pytestmark = pytest.mark.requirement("R8.3")

NASTY = ["\n", "\r", "\x1b[2J", "\x00", "\x85", "\u2028", "\u202e", "\ud800", '"', "\\", "\x7f"]
texts = st.lists(st.text(st.characters()) | st.sampled_from(NASTY)).map("".join)


@contextmanager
def written() -> Iterator[io.StringIO]:
    """Collect the output of the logger ``frith``."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    logger = logging.getLogger("frith")
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    try:
        yield output
    finally:
        logger.removeHandler(handler)
        logger.setLevel("NOTSET")


@contextmanager
def console() -> Iterator[io.StringIO]:
    """Collect the output of a host's console renderer."""
    output = io.StringIO()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    try:
        yield output
    finally:
        structlog.reset_defaults()


def session_called(name: str, branch: str) -> Session:
    return Session(
        id="4b0a5a2e-0d6e-4a55-9d5a-5d8c1f8d2a11",
        name="",
        status=SessionStatus.IDLE,
        branch="",
        worktree_path="/w",
        created_at=now(),
        last_activity=now(),
    ).evolve(name=name, branch=branch, worktree_path=f"/w/{branch}")


async def log_all(name: str, branch: str, reason: str) -> None:
    session = session_called(name, branch)
    refused = SessionVetoed(reason, name)
    await frith_log.frith_session_created(
        SessionCreated(workspace="/w", session=session, duration=0.1)
    )
    await frith_log.frith_session_creation_failed(
        SessionCreationFailed(
            workspace="/w",
            name=name,
            branch=branch,
            error=refused,
            duration=0,
            left_behind=(reason,),
        )
    )
    await frith_log.frith_store_corrupted(
        StoreCorrupted(workspace="/w", where=branch, reason=reason)
    )


def harmless(text: str) -> bool:
    return text.isprintable() or all(
        char.isprintable() or unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}
        for char in text
    )


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


@given(name=texts, branch=texts, reason=texts)
@example(name='a"}\n{"event": "session_destroyed"}', branch="\x1b[1A\x1b[2K", reason="\u2028")
def test_every_event_is_exactly_one_line_of_json(name: str, branch: str, reason: str) -> None:
    with written() as output:
        anyio.run(log_all, name, branch, reason)
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "session_created",
        "session_creation_failed",
        "state_file_corrupted",
    ]
    assert all(harmless(text) for line in lines for text in texts_in(line))


@given(name=texts, branch=texts, reason=texts)
@example(name="a\n[info     ] session_destroyed", branch="\x1b[1A\x1b[2K", reason="\x85")
def test_every_event_is_exactly_one_line_in_a_console(name: str, branch: str, reason: str) -> None:
    with console() as output:
        anyio.run(log_all, name, branch, reason)
    lines = output.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == [
        "session_created",
        "session_creation_failed",
        "state_file_corrupted",
    ]
    assert all(map(harmless, lines))
    output.getvalue().encode()


@given(texts)
def test_printable_text_is_not_changed(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    if text.isprintable():
        assert printable(text) == text


def test_every_value_becomes_json_with_printable_text() -> None:
    with written() as output:
        log.error(
            "event\n",
            path=Path("/w/a\nb"),
            error=ValueError("a\nb"),
            nested={"k\n": ["\r", ("\x1b",), {1}]},
            object=SessionStatus.IDLE,
            number=1.5,
            nothing=None,
        )
    line = json.loads(output.getvalue())
    del line["timestamp"]
    assert line == {
        "event": "event\\n",
        "level": "error",
        "path": "/w/a\\nb",
        "error": "ValueError: a\\nb",
        "nested": {"k\\n": ["\\r", ["\\x1b"], [1]]},
        "object": "idle",
        "number": 1.5,
    }
