"""What tests of the core share: a world, a witness, a log, and less patience."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import structlog
from anyio import CancelScope, sleep_forever
from structlog.testing import LogCapture

from frith import plugins
from frith._engine import ledger, markers, processes
from frith._flows import stop, takeover, view

from .managers import Witness
from .world import World

started: list[str] = []
"""The programs that this test has started."""


def _note_program(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        started.append(os.fsdecode(arguments[0]))
    elif event in ("os.fork", "os.forkpty", "pty.spawn"):
        started.append(event)


sys.addaudithook(_note_program)


@pytest.fixture(autouse=True)
def fakes_only() -> Iterator[None]:
    """Fail a test of the core that starts a program such as git; Python is allowed."""
    started.clear()
    yield
    assert set(started) <= {sys.executable}, "tests of the core use the fakes"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn at once what became of a commit."""
    monkeypatch.setattr(ledger, "_PAUSES", (0.0,) * len(ledger._PAUSES))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Every event that is logged, as a mapping."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no plugin be found that happens to be installed beside frith."""
    monkeypatch.setattr(plugins, "entry_points", lambda **_: ())


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of a second where a second would pass."""
    for module in (ledger, markers, processes):
        monkeypatch.setattr(module, "COALESCE", 0.01)
    for module in (stop, view):
        monkeypatch.setattr(module, "TICK", 0.01)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], Callable[[], Any]]:
    """Return a function that, for a module, gives a step that hangs; its time limits are replaced.

    The limit of the step is reached as soon as it hangs, and no other limit is reached.
    """

    def of(module: ModuleType) -> Callable[[], Any]:
        scopes: list[CancelScope] = []

        def without_clock(_: float) -> CancelScope:
            scopes.append(CancelScope())
            return scopes[-1]

        async def hang() -> None:
            scopes[-1].cancel()
            await sleep_forever()

        monkeypatch.setattr(module, "move_on_after", without_clock)
        return hang

    return of


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for an owner elsewhere for no longer than the grace of its process."""
    monkeypatch.setattr(takeover, "PATIENCE", 0.05)
