"""Lifecycle hooks: awaited one by one, isolated, timed; only a veto reaches the caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from anyio import CancelScope, create_task_group, fail_after, sleep_forever
from anyio import Event as Signal

from frith import hookimpl
from frith._engine.hooks import Hooks, hook_of
from frith.errors import SessionVetoed, VetoHookFailedError
from frith.events import Event, SessionCreated, SessionCreating, SessionDestroying
from frith.hookspecs import VETO_HOOKS
from frith.plugins import Plugins

from .managers import LIFECYCLE_HOOKS
from .world import a_session

CREATING = SessionCreating(workspace="/w", name=None, branch=None)
CREATED = SessionCreated(workspace="/w", session=a_session(), duration=0.1)


def destroying(*, cleanup: bool) -> SessionDestroying:
    return SessionDestroying(workspace="/w", session=a_session(), cleanup=cleanup, force=False)


class Plugin:
    """Does the same on each of three hooks."""

    def __init__(self, act: Callable[[], Awaitable[object]]) -> None:
        self.act = act

    @hookimpl
    async def frith_session_creating(self, event: SessionCreating) -> None:
        await self.act()

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        await self.act()

    @hookimpl
    async def frith_session_destroying(self, event: SessionDestroying) -> None:
        await self.act()


async def breaks() -> None:
    raise RuntimeError("broken")


async def vetoes() -> None:
    raise SessionVetoed("it is late")


async def times_out_itself() -> None:
    raise TimeoutError


async def times_out_by_its_own_clock() -> None:
    with fail_after(0):
        await sleep_forever()


def hooks(timeout: float = 5.0, **acts: Any) -> Hooks:
    plugins = Plugins()
    for name, act in acts.items():
        plugins.add(name, Plugin(act))
    return Hooks(plugins, timeout)


class Calls(list[str]):
    """The names of the plugins that were called, in order."""

    def by(self, name: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            self.append(name)

        return act


@pytest.mark.requirement("R6.4")
def test_every_event_is_for_a_hook_of_its_own() -> None:
    found = {hook_of(object.__new__(kind)) for kind in Event.__subclasses__()}
    assert found == set(LIFECYCLE_HOOKS)


@pytest.mark.requirement("R6.4")
def test_two_hooks_may_veto() -> None:
    assert {"frith_session_creating", "frith_session_destroying"} == VETO_HOOKS


async def test_plugins_are_awaited_one_after_the_other() -> None:
    calls, entered, going = Calls(), Signal(), Signal()

    async def slow() -> None:
        entered.set()
        calls.append("slow begins")
        await going.wait()
        calls.append("slow ends")

    async def release() -> None:
        await entered.wait()
        going.set()

    async with create_task_group() as tasks:
        tasks.start_soon(release)
        await hooks(slow=slow, next=calls.by("next")).notify(CREATED)
    assert calls == ["slow begins", "slow ends", "next"]


@pytest.mark.requirement("R6.5")
async def test_a_hook_that_raises_is_logged_with_its_plugin_and_the_others_are_called(
    logged: list[Any],
) -> None:
    calls = Calls()
    await hooks(first=calls.by("first"), bad=breaks, last=calls.by("last")).notify(CREATED)
    assert calls == ["first", "last"]
    assert logged == [
        {
            "event": "hook_failed",
            "log_level": "error",
            "hook": "frith_session_created",
            "plugin": "bad",
            "reason": "raised RuntimeError('broken')",
        }
    ]


@pytest.mark.requirement("R6.5")
async def test_a_hook_that_hangs_is_ended_and_logged_with_its_plugin(logged: list[Any]) -> None:
    calls = Calls()
    await hooks(0.01, bad=sleep_forever, last=calls.by("last")).notify(CREATED)
    assert calls == ["last"]
    assert (logged[0]["plugin"], logged[0]["reason"]) == ("bad", "took longer than 0.01 s")


@pytest.mark.parametrize("act", [times_out_itself, times_out_by_its_own_clock])
async def test_a_timeout_of_the_hook_itself_is_logged_as_its_exception(
    act: Callable[[], Awaitable[None]], logged: list[Any]
) -> None:
    await hooks(bad=act).notify(CREATED)
    assert logged[0]["reason"].startswith("raised TimeoutError(")


async def test_a_hook_whose_caller_is_cancelled_does_not_go_on(logged: list[Any]) -> None:
    calls = Calls()

    async def waits() -> None:
        scope.cancel()
        await sleep_forever()

    with CancelScope() as scope:
        await hooks(bad=waits, last=calls.by("last")).notify(CREATED)
    assert scope.cancelled_caught
    assert calls == []
    assert logged == []


@pytest.mark.requirement("R6.4")
async def test_a_veto_has_its_reason_and_its_plugin_and_no_other_plugin_is_asked() -> None:
    calls = Calls()
    asked = hooks(clock=vetoes, last=calls.by("last"))
    for ask in (
        asked.ask(CREATING, refuse_broken=False),
        asked.ask(destroying(cleanup=False), refuse_broken=False),
    ):
        with pytest.raises(SessionVetoed) as refused:
            await ask
        assert (refused.value.plugin, refused.value.reason) == ("clock", "it is late")
        assert str(refused.value) == "Refused by plugin 'clock': it is late"
    assert calls == []


@pytest.mark.requirement("R6.5")
async def test_a_veto_from_a_hook_that_may_not_is_a_failure_like_any_other(
    logged: list[Any],
) -> None:
    calls = Calls()
    await hooks(clock=vetoes, last=calls.by("last")).notify(CREATED)
    assert calls == ["last"]
    assert logged[0]["plugin"] == "clock"
    assert "this hook may not veto" in logged[0]["reason"]


async def test_a_creation_goes_on_when_a_hook_that_may_veto_breaks(logged: list[Any]) -> None:
    calls = Calls()
    await hooks(bad=breaks, last=calls.by("last")).ask(CREATING, refuse_broken=False)
    assert calls == ["last"]
    assert logged[0]["plugin"] == "bad"


@pytest.mark.parametrize(
    ("act", "reason"),
    [(breaks, "raised RuntimeError('broken')"), (sleep_forever, "took longer than 0.01 s")],
)
async def test_a_creation_is_refused_when_a_hook_breaks_and_refuse_broken_is_set(
    act: Callable[[], Awaitable[None]], reason: str, logged: list[Any]
) -> None:
    with pytest.raises(VetoHookFailedError) as refused:
        await hooks(0.01, bad=act).ask(CREATING, refuse_broken=True)
    assert (refused.value.plugin, refused.value.reason) == ("bad", reason)
    assert logged[0]["plugin"] == "bad"


async def test_a_removal_is_refused_when_a_hook_that_may_veto_breaks(logged: list[Any]) -> None:
    with pytest.raises(VetoHookFailedError):
        await hooks(bad=breaks).ask(destroying(cleanup=True), refuse_broken=True)


async def test_a_destruction_that_removes_nothing_goes_on_when_a_hook_that_may_veto_breaks(
    logged: list[Any],
) -> None:
    await hooks(bad=breaks).ask(destroying(cleanup=False), refuse_broken=False)
    assert logged[0]["plugin"] == "bad"
