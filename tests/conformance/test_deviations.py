"""Promises that a provider breaks, deviates from, or that are new."""

from __future__ import annotations

from typing import Any

import pytest

from frith_testing import deviation
from frith_testing.harness import promises
from frith_testing.lifecycle import LifecyclePluginConformance

pytest_plugins = ["pytester"]

VETO = "test_hooks_return_nothing"

BROKEN = """
import pytest
import frith
from frith_testing import deviation
from frith_testing.lifecycle import LifecyclePluginConformance

class Chatty:
    @frith.hookimpl
    async def frith_session_created(self, event):
        return {answer}

class TestChatty(LifecyclePluginConformance):
    @pytest.fixture
    def plugin(self):
        return Chatty()
    {deviation}
"""


def test_a_broken_promise_is_named_in_the_report(promises: Any) -> None:
    found, code = promises(BROKEN.format(answer="'words'", deviation=""))
    assert found["hooks return nothing"]["outcome"] == "broken"
    assert "returns 'words' instead of None" in found["hooks return nothing"]["why"]
    assert found["a cancelled hook ends"]["outcome"] == "kept"
    assert code == pytest.ExitCode.TESTS_FAILED


def test_a_deviation_is_an_expected_failure_and_its_reason_is_reported(promises: Any) -> None:
    reason = "It talks to a bot."
    known = f"{VETO} = deviation('{reason}')"
    found, code = promises(BROKEN.format(answer="'words'", deviation=known))
    assert found["hooks return nothing"]["outcome"] == "deviates"
    assert found["hooks return nothing"]["why"] == reason
    assert code == pytest.ExitCode.OK


def test_a_deviation_from_a_promise_that_is_kept_fails(promises: Any) -> None:
    known = f"{VETO} = deviation('It talks to a bot.')"
    found, code = promises(BROKEN.format(answer="None", deviation=known))
    assert found["hooks return nothing"]["outcome"] == "broken"
    assert code == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("reason", ["", "  ", None])
def test_a_deviation_needs_a_reason(reason: Any) -> None:
    with pytest.raises(TypeError, match="needs a reason"):
        deviation(reason)


def test_a_deviation_needs_a_standard_test() -> None:
    body = {"plugin": None, "test_nothing_of_the_kind": deviation("why")}
    with pytest.raises(TypeError, match="no standard test test_nothing_of_the_kind"):
        type("TestMine", (LifecyclePluginConformance,), body)


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets the version of a promise; the suites are at version 1.7."""

    def renew(since: str) -> None:
        monkeypatch.setattr(promises, "SUITE_VERSION", "1.7")
        test = getattr(LifecyclePluginConformance, VETO)
        monkeypatch.setattr(test, "__promise__", promises.Promise(since), raising=False)

    return renew


def test_a_new_promise_that_is_broken_warns(promises: Any, renewed: Any) -> None:
    renewed("1.7")
    found, code = promises(BROKEN.format(answer="'words'", deviation=""))
    assert found["hooks return nothing"]["outcome"] == "warned"
    assert "1.7" in found["hooks return nothing"]["why"]
    assert code == pytest.ExitCode.OK


def test_a_new_promise_that_is_broken_fails_with_strict(promises: Any, renewed: Any) -> None:
    renewed("1.7")
    found, code = promises(BROKEN.format(answer="'words'", deviation=""), "--frith-strict")
    assert found["hooks return nothing"]["outcome"] == "broken"
    assert code == pytest.ExitCode.TESTS_FAILED


def test_a_deviation_from_a_new_promise_that_is_kept_fails(promises: Any, renewed: Any) -> None:
    renewed("1.7")
    known = f"{VETO} = deviation('It talks to a bot.')"
    found, code = promises(BROKEN.format(answer="None", deviation=known))
    assert found["hooks return nothing"]["outcome"] == "broken"
    assert code == pytest.ExitCode.TESTS_FAILED


def test_a_promise_fails_from_the_next_version_on(promises: Any, renewed: Any) -> None:
    renewed("1.6")
    found, code = promises(BROKEN.format(answer="'words'", deviation=""))
    assert found["hooks return nothing"]["outcome"] == "broken"
    assert code == pytest.ExitCode.TESTS_FAILED
