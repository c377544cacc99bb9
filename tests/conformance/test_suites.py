"""The suites themselves: they cannot be weakened by accident, and they find what is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spinney import hookspecs
from spinney_testing._events import sample_events
from spinney_testing._process import elsewhere
from spinney_testing.lifecycle import LIFECYCLE_HOOKS, LifecyclePluginConformance
from spinney_testing.recovery import RecoveryConformance
from spinney_testing.spawner import SpawnerConformance
from spinney_testing.store import StoreConformance, counts
from spinney_testing.workspace import WorkspaceConformance

pytest_plugins = ["pytester"]

SUITES = [
    StoreConformance,
    WorkspaceConformance,
    RecoveryConformance,
    SpawnerConformance,
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


def test_nor_can_a_mixin() -> None:
    mixin = type("Mixin", (), {"test_changes_are_applied_together": lambda self: None})
    with pytest.raises(TypeError, match="overrides test_changes_are_applied_together"):
        type("TestMine", (mixin, StoreConformance), fixtures())


@pytest.mark.parametrize(("name", "body"), [("MyStore", {}), ("TestMine", {"__test__": False})])
def test_a_subclass_that_pytest_would_not_collect_cannot_be_defined(
    name: str, body: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="pytest collects only"):
        type(name, (StoreConformance,), fixtures(**body))


def test_a_fixture_from_a_common_base_and_tests_of_its_own_are_welcome() -> None:
    base = type("Base", (), fixtures())
    type("TestMine", (base, StoreConformance), {"test_more": lambda self: None})


@pytest.mark.parametrize("hook", LIFECYCLE_HOOKS)
def test_there_are_sample_events_for_each_hook(hook: str) -> None:
    assert set(LIFECYCLE_HOOKS) > hookspecs.VETO_HOOKS
    assert sample_events(hook, "/w")


@pytest.mark.anyio
async def test_a_provider_that_another_process_cannot_open_is_named_as_the_reason() -> None:
    with pytest.raises(pytest.fail.Exception, match="another process cannot open the provider"):
        async with elsewhere(lambda: None):  # type: ignore[arg-type,return-value]
            pass


@pytest.mark.anyio
async def test_a_failure_in_another_process_is_a_failure_here() -> None:
    async with elsewhere(counts, "no opening", "no session") as other:
        with pytest.raises(pytest.fail.Exception, match="the other process failed"):
            await other.step()


IMPORTS = """
import contextlib, dataclasses, os, signal
import anyio, pytest
import {module} as plugin
from spinney.model import *
from spinney.ports import *
from spinney_testing.{suite_module} import {suite}

SPEC = next(spec for spec in plugin.spinney_providers() if spec.role == {suite}.role)
"""

MUTANT = """
class Mutant{number}:
    def __init__(self, inner):
        self.inner = inner
    def __getattr__(self, name):
        return getattr(self.inner, name)
    {mutation}

@contextlib.asynccontextmanager
async def open_{number}(options, context):
    async with SPEC.factory(options, context) as inner:
        yield Mutant{number}(inner)

class Test{number}({suite}):
    @pytest.fixture
    def provider(self):
        return dataclasses.replace(SPEC, factory=open_{number}, capabilities=frozenset())
"""

STORE = ("spinney_json", "store", "StoreConformance")
WORKSPACE = ("spinney_git", "workspace", "WorkspaceConformance")
RECOVERY = ("spinney_git", "recovery", "RecoveryConformance")
SPAWNER = ("spinney_pty", "spawner", "SpawnerConformance")

MUTATIONS = {
    "nothing stored is taken for something": (
        STORE,
        "async def load(self): return dataclasses.replace("
        "await self.inner.load(), integrity=Integrity.VERIFIED)",
        "loading_when_nothing_is_stored",
    ),
    "details are lost": (
        STORE,
        "async def load(self): found = await self.inner.load(); "
        "return dataclasses.replace(found, sessions={i: s.evolve(details=Details()) "
        "for i, s in found.sessions.items()})",
        "a_session_comes_back_with_every_field",
    ),
    "a transaction works on stale state": (
        STORE,
        "async def transact(self, fn): found = await self.inner.load(); "
        "await anyio.sleep(0.01); return await self.inner.transact(lambda _: fn(found))",
        "concurrent_transactions_lose_nothing",
    ),
    "errors are wrapped": (
        STORE,
        "async def transact(self, fn):\n"
        "        try: return await self.inner.transact(fn)\n"
        "        except LookupError as error: raise RuntimeError from error",
        "what_a_transaction_raises_aborts_it",
    ),
    "empty changes are written": (
        STORE,
        "async def transact(self, fn): return await self.inner.transact("
        "lambda s: fn(s) or Changes(release=frozenset({'x'})))",
        "empty_changes_write_nothing",
    ),
    "any token replaces": (
        STORE,
        "async def replace_corrupt(self, token, snapshot): return await self.inner.transact("
        "lambda s: Changes(put=tuple(snapshot.sessions.values()), delete=frozenset(s.sessions)))",
        "a_token_of_what_is_no_longer_stored",
    ),
    "everybody may claim": (
        STORE,
        "@contextlib.asynccontextmanager\n"
        "    async def claim(self, session_id): yield Claim(session_id, 1)",
        "a_claim_is_refused_at_once",
    ),
    "the fence stands still": (
        STORE,
        "@contextlib.asynccontextmanager\n"
        "    async def claim(self, session_id):\n"
        "        async with self.inner.claim(session_id): yield Claim(session_id, 1)",
        "the_fence_grows",
    ),
    "nobody seems to hold anything": (
        STORE,
        "async def holder(self, session_id): return Holder.FREE",
        "a_claim_is_held_while_its_context_is_open",
    ),
    "a capability is there but not declared": (
        STORE,
        "def watch(self): return self.inner.watch()",
        "watching_that_is_not_declared",
    ),
    "planning creates": (
        WORKSPACE,
        "async def plan(self, request): plan = await self.inner.plan(request); "
        "await self.inner.create(plan); return plan",
        "planning_changes_nothing",
    ),
    "work is removed unasked": (
        WORKSPACE,
        "async def remove(self, session, *, force=False): "
        "await self.inner.remove(session, force=True)",
        "changed_files_are_at_stake",
    ),
    "discarding destroys work": (
        WORKSPACE,
        "async def discard(self, plan): import shutil; shutil.rmtree(plan.path); "
        "return await self.inner.discard(plan)",
        "discarding_removes_nothing_that_somebody_worked_in",
    ),
    "discarding leaves the branch": (
        WORKSPACE,
        "async def discard(self, plan): "
        "return await self.inner.discard(dataclasses.replace(plan, creates_branch=False))",
        "discarding_removes_what_was_created",
    ),
    "a missing worktree seems present": (
        WORKSPACE,
        "async def locate(self, sessions): "
        "return {s.id: Location(Presence.PRESENT, s.worktree_path) for s in sessions}",
        "locating_answers_for_each_session",
    ),
    "metadata is not remembered": (
        RECOVERY,
        "async def remember(self, session, state, *, durable=True): "
        "await self.inner.remember(session.evolve(metadata=None), state)",
        "a_remembered_session_comes_back_whole",
    ),
    "a released session seems alive": (
        RECOVERY,
        "async def remember(self, session, state, *, durable=True): "
        "await self.inner.remember(session, MarkerState.LIVE)",
        "the_state_comes_back",
    ),
    "nothing is forgotten": (
        RECOVERY,
        "async def forget(self, session_id): pass",
        "forgetting_removes_the_marker",
    ),
    "the variables given are not set": (
        SPAWNER,
        "async def spawn(self, request): "
        "return await self.inner.spawn(dataclasses.replace(request, env={}))",
        "the_environment_of_the_host_is_inherited",
    ),
    "a pid alone is believed": (
        SPAWNER,
        "async def sweep(self, session, grace): os.kill(session.pty_pid, signal.SIGKILL); "
        "return SweepReport(found=(session.pty_pid,))",
        "sweeping_touches_no_process",
    ),
}


@pytest.mark.parametrize("subject", [STORE, WORKSPACE, RECOVERY, SPAWNER], ids=lambda s: s[1])
def test_broken_providers_are_found(
    subject: tuple[str, str, str], pytester: pytest.Pytester
) -> None:
    names = dict(zip(("module", "suite_module", "suite"), subject, strict=True))
    source, chosen, broken = IMPORTS.format(**names), [], {}
    for number, (name, (its_subject, mutation, test)) in enumerate(MUTATIONS.items()):
        if its_subject == subject:
            source += MUTANT.format(number=number, mutation=mutation, suite=names["suite"])
            chosen.append(f"(Test{number} and {test} and asyncio)")
            broken[f"Test{number}"] = name
    pytester.makepyfile(source)
    run = pytester.inline_run("-k", " or ".join(chosen))
    _, _, failed = run.listoutcomes()
    missed = broken.keys() - {report.nodeid.split("::")[1] for report in failed}
    assert not missed, [broken[number] for number in missed]
    assert all(report.when == "call" for report in failed)
