"""The order of promises, the time that they take, and the quick ones alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from frith_testing.harness.promises import Promise
from frith_testing.lifecycle import LifecyclePluginConformance

pytest_plugins = ["pytester"]

SLOW = "hooks return nothing"
QUIET = """
import pytest
import frith
from frith_testing.lifecycle import LifecyclePluginConformance

class Quiet:
    @frith.hookimpl
    async def frith_session_created(self, event): ...

class TestQuiet(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self):
        return Quiet()
"""

Run = Callable[..., tuple[dict[str, dict[str, Any]], int]]


@pytest.fixture(autouse=True)
def _one_slow_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    test = getattr(LifecyclePluginConformance, f"test_{SLOW.replace(' ', '_')}")
    monkeypatch.setattr(test, "__promise__", Promise(seconds=60), raising=False)


def test_slow_promises_run_last(promises: Run) -> None:
    found, _ = promises(QUIET)
    assert [*found][-1] == SLOW
    assert found[SLOW]["outcome"] == "kept"


def test_the_expected_time_is_printed(promises: Run, capsys: pytest.CaptureFixture[str]) -> None:
    promises(QUIET)
    assert "2 slow ones about 2 min (see --frith-quick)" in capsys.readouterr().out


def test_quick_leaves_slow_promises_out_and_says_which(promises: Run) -> None:
    found, code = promises(QUIET, "--frith-quick")
    assert (found[SLOW]["outcome"], found[SLOW]["why"]) == (
        "not checked",
        "left out by --frith-quick",
    )
    assert {row["outcome"] for promise, row in found.items() if promise != SLOW} == {"kept"}
    assert code == pytest.ExitCode.OK


def test_quick_is_refused_with_strict(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_inprocess("--frith-quick", "--frith-strict")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines("*--frith-quick leaves promises out*--frith-strict*")
