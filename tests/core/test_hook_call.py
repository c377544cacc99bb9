"""One call of a hook in a task of its own: contained whatever it raises, or abandoned."""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from anyio import CancelScope, create_task_group, sleep_forever
from anyio.lowlevel import checkpoint

from frith import hookimpl
from frith._engine import hooks as hooks_module
from frith._engine.hooks import HookCall
from frith.errors import SessionVetoed, VetoHookFailedError
from frith.events import SessionCreated
from waiting import PATIENCE, until

from .managers import leak_a_cancellation, manager
from .test_hooks import CREATED, CREATING, Calls, hooks
from .world import World

HOST: ContextVar[str] = ContextVar("HOST", default="")
MOMENT = 0.01


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks_module, "GRACE", MOMENT)


class Stubborn:
    """Code that does not end when it is cancelled, until the test is over."""

    def __init__(self) -> None:
        self.may_end = anyio.Event()
        self.has_ended = False

    async def shields_itself(self) -> None:
        with CancelScope(shield=True):
            await self.may_end.wait()
        self.has_ended = True

    async def swallows_cancellation(self) -> None:
        while not self.may_end.is_set():
            with suppress(BaseException):
                await self.may_end.wait()
        self.has_ended = True


@pytest.fixture
async def stubborn() -> Any:
    stubborn = Stubborn()
    yield stubborn
    stubborn.may_end.set()
    await until(lambda: stubborn.has_ended)


KINDS = ["shields_itself", "swallows_cancellation"]


class UnprintableError(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("not even that")


class OwnError(BaseException):
    """Derived from BaseException, as pytest's outcomes are."""


async def leaves_a_task_group_open() -> None:
    tasks = create_task_group()
    await tasks.__aenter__()
    tasks.start_soon(checkpoint)


async def leaves_a_scope_open() -> None:
    CancelScope().__enter__()


async def fails_in_a_task_group() -> None:
    async with create_task_group() as tasks:
        tasks.start_soon(raising(OSError("no descriptors")))


def raising(error: BaseException) -> Callable[[], Coroutine[Any, Any, None]]:
    async def act() -> None:
        raise error

    return act


FAILURES = {
    "a cancellation of its own": (leak_a_cancellation, "Cancelled"),
    "SystemExit": (raising(SystemExit(3)), "SystemExit(3)"),
    "GeneratorExit": (raising(GeneratorExit()), "GeneratorExit()"),
    "a BaseException": (raising(OwnError()), "OwnError()"),
    "a group": (raising(BaseExceptionGroup("", [SystemExit(3), OwnError()])), "SystemExit(3)"),
    "an error in a task group": (fails_in_a_task_group, "raised OSError('no descriptors')"),
    "an error that cannot be printed": (raising(UnprintableError()), "UnprintableError"),
    "a task group left open": (leaves_a_task_group_open, "cancel scope"),
    "a scope left open": (leaves_a_scope_open, "cancel scope"),
}


@pytest.mark.requirement("R6.5")
@pytest.mark.parametrize(("act", "told"), FAILURES.values(), ids=FAILURES)
async def test_whatever_a_hook_raises_goes_no_further(
    act: Callable[[], Awaitable[None]], told: str, logged: list[Any]
) -> None:
    calls = Calls()
    await hooks(bad=act, last=calls.by("last")).notify(CREATED)
    await checkpoint()
    assert calls == ["last"]
    assert [(entry["plugin"], told in entry["reason"]) for entry in logged] == [("bad", True)]


@pytest.mark.parametrize(("act", "told"), FAILURES.values(), ids=FAILURES)
async def test_whatever_a_hook_raises_that_may_veto_is_a_failure_of_it(
    act: Callable[[], Awaitable[None]], told: str, logged: list[Any]
) -> None:
    with pytest.raises(VetoHookFailedError) as refused:
        await hooks(bad=act).ask(CREATING, refuse_broken=True)
    assert (refused.value.plugin, told in refused.value.reason) == ("bad", True)


@pytest.mark.requirement("R6.5")
async def test_a_hook_that_leaks_a_cancellation_ends_no_call_of_the_host(
    world: World, logged: list[Any]
) -> None:
    class Leaking:
        @hookimpl
        async def frith_session_created(self) -> None:
            await leak_a_cancellation()

        @hookimpl
        async def frith_session_destroyed(self) -> None:
            await leak_a_cancellation()

    async with manager(world, Leaking()) as m:
        session = await m.create_session("a")
        await m.destroy_session(session.id, cleanup=True)
    assert [entry["hook"] for entry in logged if entry["event"] == "hook_failed"] == [
        "frith_session_created",
        "frith_session_destroyed",
    ]


@pytest.fixture
def interruptions() -> Iterator[None]:
    """Let SIGINT raise at once, also where an event loop handles it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptions")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_user_interrupts_the_host_also_while_a_hook_runs(backend: str) -> None:
    async def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        await sleep_forever()

    async def host() -> None:
        await hooks(busy=interrupted).notify(CREATED)

    with pytest.raises(KeyboardInterrupt):
        anyio.run(host, backend=backend)


@pytest.mark.requirement("R6.5")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_hook_that_does_not_end_in_time_is_abandoned_and_named(
    kind: str, stubborn: Stubborn, logged: list[Any]
) -> None:
    calls = Calls()
    await hooks(MOMENT, bad=getattr(stubborn, kind), last=calls.by("last")).notify(CREATED)
    assert not stubborn.has_ended
    assert calls == ["last"]
    # On a busy machine a step of the hook may last longer than its time, which is logged, too.
    (failure,) = (entry for entry in logged if entry["event"] == "hook_failed")
    assert failure["plugin"] == "bad"
    assert failure["reason"].startswith("took longer than 0.01 s, and does not end when")


async def test_a_hook_that_may_veto_and_is_abandoned_has_not_answered(
    stubborn: Stubborn, logged: list[Any]
) -> None:
    with pytest.raises(VetoHookFailedError, match="abandoned"):
        await hooks(MOMENT, bad=stubborn.shields_itself).ask(CREATING, refuse_broken=True)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_caller_that_is_cancelled_does_not_wait_for_a_hook_that_goes_on(
    kind: str, stubborn: Stubborn, logged: list[Any]
) -> None:
    calls, entered = Calls(), anyio.Event()

    async def hook() -> None:
        entered.set()
        await getattr(stubborn, kind)()

    async def call() -> None:
        await hooks(bad=hook, last=calls.by("last")).notify(CREATED)

    async with create_task_group() as tasks:
        tasks.start_soon(call)
        await entered.wait()
        tasks.cancel_scope.cancel()
    assert not stubborn.has_ended
    assert calls == []
    assert [(entry["plugin"], entry["reason"]) for entry in logged] == [
        ("bad", "does not end when it is cancelled: it is abandoned")
    ]


async def test_a_caller_that_is_cancelled_waits_until_a_hook_has_cleaned_up(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    monkeypatch.setattr(hooks_module, "GRACE", PATIENCE)
    cleaned: list[str] = []

    async def hook() -> None:
        scope.cancel()
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                for _ in range(10):
                    await checkpoint()
            cleaned.append("up")

    with CancelScope() as scope:
        await hooks(good=hook).notify(CREATED)
    assert (cleaned, logged) == (["up"], [])


async def test_a_manager_closes_though_a_hook_was_abandoned(
    world: World, stubborn: Stubborn, logged: list[Any]
) -> None:
    class Shielding:
        @hookimpl
        async def frith_session_created(self, event: SessionCreated) -> None:
            await stubborn.shields_itself()

    async with manager(world, Shielding(), hook_timeout=MOMENT) as m:
        await m.create_session("a")
    assert not stubborn.has_ended
    assert world.living() == []


async def test_what_an_abandoned_hook_raises_later_ends_nothing() -> None:
    ended, may_end = anyio.Event(), anyio.Event()

    async def hook() -> None:
        with CancelScope(shield=True):
            await may_end.wait()
        ended.set()
        raise SystemExit(3)

    call = HookCall(hook, MOMENT)
    await call.run()
    assert call.is_abandoned
    may_end.set()
    await ended.wait()
    await until(lambda: isinstance(call.error, SystemExit))


async def test_a_hook_that_returns_after_its_time_has_not_answered(logged: list[Any]) -> None:
    async def late() -> None:
        with suppress(BaseException):
            await sleep_forever()

    with pytest.raises(VetoHookFailedError, match=r"took longer than 0\.01 s"):
        await hooks(MOMENT, bad=late).ask(CREATING, refuse_broken=True)


async def test_a_hook_that_fails_after_its_time_took_too_long(logged: list[Any]) -> None:
    async def late() -> None:
        try:
            await sleep_forever()
        finally:
            raise RuntimeError("interrupted")

    await hooks(MOMENT, bad=late).notify(CREATED)
    assert [entry["reason"] for entry in logged] == ["took longer than 0.01 s"]


async def test_a_veto_after_the_time_is_a_veto() -> None:
    async def late() -> None:
        try:
            await sleep_forever()
        finally:
            raise SessionVetoed("nobody answers")

    with pytest.raises(SessionVetoed, match="nobody answers"):
        await hooks(MOMENT, clock=late).ask(CREATING, refuse_broken=False)


@pytest.mark.requirement("R6.5")
async def test_a_hook_that_blocks_the_event_loop_is_named(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    monkeypatch.setattr(hooks_module, "LONGEST_STEP", MOMENT)

    async def blocks() -> None:
        await checkpoint()
        threading.Event().wait(MOMENT)
        await checkpoint()

    await hooks(bad=blocks).notify(CREATED)
    (entry,) = logged
    assert (entry["event"], entry["plugin"]) == ("hook_blocked_event_loop", "bad")
    assert entry["seconds"] >= MOMENT


async def test_a_hook_that_waits_does_not_block_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    monkeypatch.setattr(hooks_module, "time", Clock())
    monkeypatch.setattr(hooks_module, "LONGEST_STEP", 2)

    async def waits() -> None:
        for _ in range(10):
            await checkpoint()

    await hooks(good=waits).notify(CREATED)
    assert logged == []


class Clock:
    """Goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 1
        return self._now


async def test_a_hook_finds_the_context_of_the_host_and_cannot_change_it() -> None:
    found: list[str] = []

    async def hook() -> None:
        found.append(HOST.get())
        HOST.set("changed")

    HOST.set("request 7")
    await hooks(plugin=hook).notify(CREATED)
    assert (found, HOST.get()) == (["request 7"], "request 7")
