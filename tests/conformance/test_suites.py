"""The suites cannot be weakened by accident. What they find is shown by ``tests/mutants``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from frith import hookspecs
from frith_testing.harness.process import elsewhere
from frith_testing.lifecycle import LIFECYCLE_HOOKS, LifecyclePluginConformance
from frith_testing.recovery import RecoveryConformance
from frith_testing.spawner import SpawnerConformance
from frith_testing.status import StatusConformance
from frith_testing.store import StoreConformance, counts
from frith_testing.suites.lifecycle.sample_events import sample_events
from frith_testing.workspace import WorkspaceConformance

SUITES = [
    StoreConformance,
    WorkspaceConformance,
    RecoveryConformance,
    SpawnerConformance,
    StatusConformance,
    LifecyclePluginConformance,
]


def fixtures(**tests: Any) -> dict[str, Any]:
    """Return the body of a complete subclass of any suite, and ``tests``."""
    return {"provider": pytest.fixture(lambda self: None, name="provider"), "plugin": None, **tests}


@pytest.mark.parametrize("suite", SUITES)
def test_a_subclass_without_the_fixture_cannot_be_defined(suite: type) -> None:
    with pytest.raises(TypeError, match=r"does not define the fixture '(provider|plugin)'"):
        type("TestMine", (suite,), {})


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("replacement", [None, lambda self: None])
def test_a_subclass_cannot_override_or_remove_a_standard_test(
    suite: type, replacement: Callable[..., None] | None
) -> None:
    for test in (name for name in dir(suite) if name.startswith("test_")):
        with pytest.raises(TypeError, match=f"overrides {test}, a standard test"):
            type("TestMine", (suite,), fixtures(**{test: replacement}))


def test_a_mixin_cannot_override_a_standard_test() -> None:
    mixin = type("Mixin", (), {"test_all_changes_of_a_transaction_are_applied": lambda self: None})
    with pytest.raises(TypeError, match="overrides test_all_changes_of_a_transaction_are_applied"):
        type("TestMine", (mixin, StoreConformance), fixtures())


@pytest.mark.parametrize(("name", "body"), [("MyStore", {}), ("TestMine", {"__test__": False})])
def test_a_subclass_that_pytest_would_not_collect_cannot_be_defined(
    name: str, body: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="pytest does not collect it"):
        type(name, (StoreConformance,), fixtures(**body))


def test_a_subclass_may_inherit_its_fixture_and_have_tests_of_its_own() -> None:
    base = type("Base", (), fixtures())
    type("TestMine", (base, StoreConformance), {"test_more": lambda self: None})


@pytest.mark.parametrize("hook", LIFECYCLE_HOOKS)
def test_each_hook_has_sample_events(hook: str) -> None:
    assert set(LIFECYCLE_HOOKS) > hookspecs.VETO_HOOKS
    assert sample_events(hook, "/w")


@pytest.mark.anyio
async def test_a_provider_that_another_process_cannot_open_is_named_as_the_reason() -> None:
    with pytest.raises(pytest.fail.Exception, match="another process cannot open the provider"):
        async with elsewhere(lambda: None):  # type: ignore[arg-type,return-value]
            pass


@pytest.mark.anyio
async def test_a_failure_in_another_process_fails_the_test() -> None:
    async with elsewhere(counts, "no opening", "no session") as other:
        with pytest.raises(pytest.fail.Exception, match="the other process failed"):
            await other.step()
