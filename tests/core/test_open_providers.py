"""Providers: each in a task of its own, opened on first use, closed in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from anyio import CancelScope, Event, create_task_group, sleep_forever
from anyio.lowlevel import checkpoint

from frith import Capability, Options, ProviderContext, ProviderSpec, Role, hookimpl
from frith._engine.open_providers import Providers
from frith._engine.tasks import Tasks
from frith.errors import (
    ConfigurationError,
    ProviderCycleError,
    ProviderFailedError,
    ProviderNotFoundError,
    StoreError,
)
from frith.plugins import Plugins

from .managers import configuration, leak_a_cancellation


class Shelf:
    """A plugin whose providers are scripted; it keeps what happened to them."""

    stuck: CancelScope
    """Cancelled when the opening of ``stuck`` has begun."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.collapse = Event()
        self.opening: Callable[[], Awaitable[None]] = checkpoint
        self.closing: Callable[[], Awaitable[None]] = checkpoint

    @hookimpl
    def frith_providers(self) -> Iterable[ProviderSpec]:
        return [
            ProviderSpec(Role.STORE, "plain", self._plain("store")),
            ProviderSpec(Role.WORKSPACE, "plain", self._plain("workspace")),
            ProviderSpec(Role.TERMINAL, "plain", self._plain("terminal")),
            ProviderSpec(Role.STORE, "sized", self._sized, self.Sized),
            ProviderSpec(Role.STORE, "wrapping", self._wrapping),
            ProviderSpec(Role.STORE, "own-tail", self._own_tail),
            ProviderSpec(Role.STORE, "no-opening", self._no_opening(RuntimeError("no"))),
            ProviderSpec(Role.STORE, "says-why", self._no_opening(StoreError("no disk"))),
            ProviderSpec(Role.STORE, "no-factory", self._no_factory),
            ProviderSpec(Role.STORE, "stuck", self._stuck),
            ProviderSpec(
                Role.STORE, "feeble", self._feeble, capabilities=frozenset({Capability.WATCH})
            ),
            ProviderSpec(Role.STORE, "sore-loser", self._sore_loser),
            ProviderSpec(Role.STORE, "scripted", self._scripted),
        ]

    class Sized(Options):
        size: int = 1

    def _plain(self, name: str) -> Any:
        @asynccontextmanager
        async def factory(_options: Any, _context: ProviderContext) -> AsyncIterator[str]:
            self.happened.append(f"open {name}")
            yield name
            await checkpoint()
            self.happened.append(f"close {name}")

        return factory

    @asynccontextmanager
    async def _sized(self, options: Sized, context: ProviderContext) -> AsyncIterator[str]:
        yield f"{options.size} in {context.workspace}"

    @asynccontextmanager
    async def _wrapping(self, _: Any, context: ProviderContext) -> AsyncIterator[str]:
        async with context.open(Role.STORE, "plain") as inner:
            self.happened.append("open wrapping")
            yield f"wrapped {inner}"
        self.happened.append("close wrapping")

    @asynccontextmanager
    async def _own_tail(self, _: Any, context: ProviderContext) -> AsyncIterator[str]:
        async with context.open(Role.STORE, "own-tail") as inner:
            yield inner

    def _no_opening(self, error: Exception) -> Any:
        @asynccontextmanager
        async def factory(_options: Any, _context: ProviderContext) -> AsyncIterator[str]:
            raise error
            yield ""

        return factory

    def _no_factory(
        self, _options: Any, _context: ProviderContext
    ) -> AbstractAsyncContextManager[Any]:
        raise RuntimeError("no factory")

    @asynccontextmanager
    async def _stuck(self, _: Any, __: ProviderContext) -> AsyncIterator[str]:
        self.happened.append("stuck")
        self.stuck.cancel()
        await sleep_forever()
        yield ""

    @asynccontextmanager
    async def _feeble(self, _: Any, __: ProviderContext) -> AsyncIterator[str]:
        async def collapse() -> None:
            await self.collapse.wait()
            raise RuntimeError("collapsed")

        async with create_task_group() as tasks:
            tasks.start_soon(collapse)
            yield "feeble"
            tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def _sore_loser(self, _: Any, __: ProviderContext) -> AsyncIterator[str]:
        yield "sore"
        raise RuntimeError("does not close")

    @asynccontextmanager
    async def _scripted(self, _: Any, __: ProviderContext) -> AsyncIterator[str]:
        await self.opening()
        yield "scripted"
        await self.closing()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@asynccontextmanager
async def opened(shelf: Shelf, **changes: Any) -> AsyncIterator[Providers]:
    plugins = Plugins()
    plugins.add("shelf", shelf)
    config = configuration(**{"store": "plain", "workspace_provider": "plain", **changes})
    async with create_task_group() as task_group:
        tasks = Tasks(task_group)
        providers = Providers(tasks, config, plugins)
        try:
            yield providers
            await providers.close()
        finally:
            await tasks.cancel()


async def test_a_provider_is_opened_on_first_use_and_only_once(shelf: Shelf) -> None:
    async with opened(shelf) as providers:
        assert shelf.happened == []
        for _ in range(2):
            async with providers.use(Role.STORE) as store:
                assert store == "store"  # type: ignore[comparison-overlap]
        assert shelf.happened == ["open store"]


async def test_concurrent_first_uses_open_it_only_once(shelf: Shelf) -> None:
    async def use() -> None:
        async with providers.use(Role.STORE):
            await checkpoint()

    async with opened(shelf) as providers, create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(use)
    assert shelf.happened.count("open store") == 1


async def test_providers_are_closed_in_reverse_order(shelf: Shelf) -> None:
    async with opened(shelf, terminal="plain") as providers:
        for role in (Role.WORKSPACE, Role.STORE, Role.TERMINAL):
            async with providers.use(role):
                pass
    assert shelf.happened[3:] == ["close terminal", "close store", "close workspace"]


async def test_a_provider_can_be_used_by_name(shelf: Shelf) -> None:
    async with opened(shelf) as providers, providers.use(Role.TERMINAL, "plain") as terminal:
        assert terminal == "terminal"  # type: ignore[comparison-overlap]


@pytest.mark.requirement("R6.2")
async def test_a_provider_that_nobody_offers_is_an_error(shelf: Shelf) -> None:
    async with opened(shelf, store="plane") as providers:
        with pytest.raises(ProviderNotFoundError) as missing:
            async with providers.use(Role.STORE):
                pass
    assert "Did you mean 'plain'?" in str(missing.value)


async def test_a_provider_gets_its_options_and_the_workspace(shelf: Shelf) -> None:
    options = {"store": {"sized": {"size": 3}}}
    async with (
        opened(shelf, store="sized", options=options) as providers,
        providers.use(Role.STORE) as store,
    ):
        assert store == "3 in /workspace"  # type: ignore[comparison-overlap]


async def test_wrong_options_are_a_configuration_error(shelf: Shelf) -> None:
    options = {"store": {"sized": {"siez": 3}}}
    async with opened(shelf, store="sized", options=options) as providers:
        with pytest.raises(ConfigurationError) as refused:
            async with providers.use(Role.STORE):
                pass
    assert refused.value.key == "options.store.sized.siez"


async def test_a_provider_may_wrap_another(shelf: Shelf) -> None:
    async with (
        opened(shelf, store="wrapping") as providers,
        providers.use(Role.STORE) as store,
    ):
        assert store == "wrapped store"  # type: ignore[comparison-overlap]
    assert shelf.happened == ["open store", "open wrapping", "close store", "close wrapping"]


async def test_a_circle_of_providers_is_refused(shelf: Shelf) -> None:
    async with opened(shelf, store="own-tail") as providers:
        with pytest.raises(ProviderCycleError) as refused:
            async with providers.use(Role.STORE):
                pass
    assert refused.value.chain == ("store:own-tail", "store:own-tail")


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize("name", ["no-opening", "no-factory"])
async def test_a_provider_that_cannot_be_opened_is_a_clear_error(name: str, shelf: Shelf) -> None:
    async with opened(shelf, store=name) as providers:
        for _ in range(2):
            with pytest.raises(ProviderFailedError) as failed:
                async with providers.use(Role.STORE):
                    pass
            assert (failed.value.role, failed.value.name) == ("store", name)
            assert isinstance(failed.value.__cause__, RuntimeError)


async def test_what_a_provider_says_itself_when_opening_reaches_the_user(shelf: Shelf) -> None:
    async with opened(shelf, store="says-why") as providers:
        with pytest.raises(StoreError, match="no disk"):
            async with providers.use(Role.STORE):
                pass


async def test_a_user_cancelled_while_a_provider_opens_leaves_nothing_open(shelf: Shelf) -> None:
    async with opened(shelf, store="stuck") as providers:
        for times in (1, 2):
            with CancelScope() as shelf.stuck:
                async with providers.use(Role.STORE):
                    pass
            assert shelf.stuck.cancelled_caught
            assert shelf.happened == ["stuck"] * times


async def test_a_failure_in_the_background_ends_only_the_calls_of_its_provider(
    shelf: Shelf, logged: list[Any]
) -> None:
    outcomes: list[object] = []
    using = Event()

    async def use() -> None:
        try:
            async with providers.use(Role.STORE):
                using.set()
                await sleep_forever()
        except ProviderFailedError as error:
            outcomes.append(error)

    async with opened(shelf, store="feeble") as providers:
        async with create_task_group() as tasks:
            tasks.start_soon(use)
            await using.wait()
            shelf.collapse.set()
        async with providers.use(Role.WORKSPACE) as workspace:
            assert workspace == "workspace"  # type: ignore[comparison-overlap]
        (failure,) = outcomes
        assert isinstance(failure, ProviderFailedError)
        assert "collapsed" in str(failure)
        with pytest.raises(ProviderFailedError):
            async with providers.use(Role.STORE):
                pass
    assert [entry["event"] for entry in logged] == ["provider_failed"]


async def test_an_own_cancellation_of_a_user_is_not_taken_for_a_failure(shelf: Shelf) -> None:
    async with opened(shelf) as providers:
        with CancelScope() as scope:
            async with providers.use(Role.STORE):
                scope.cancel()
                await sleep_forever()
        assert scope.cancelled_caught


def no_descriptors() -> OSError:
    return OSError(24, "Too many open files")


def raising(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def call() -> None:
        raise error

    return call


UNTYPED = {
    "an error of the system": (raising(no_descriptors()), "Too many open files"),
    "a group": (raising(ExceptionGroup("", [no_descriptors()])), "OSError(24"),
    "SystemExit": (raising(SystemExit(3)), "SystemExit(3)"),
    "a group of others": (raising(BaseExceptionGroup("", [SystemExit(3)])), "SystemExit(3)"),
    "a cancellation of its own": (leak_a_cancellation, "Cancelled"),
}


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize(("call", "told"), UNTYPED.values(), ids=UNTYPED)
async def test_whatever_a_call_of_a_provider_raises_is_told_as_its_failure(
    call: Callable[[], Awaitable[None]], told: str, shelf: Shelf
) -> None:
    async with opened(shelf) as providers:
        with pytest.raises(ProviderFailedError) as failed:
            async with providers.use(Role.STORE):
                await call()
        assert (failed.value.role, failed.value.name) == ("store", "plain")
        assert not failed.value.ended
        assert told in failed.value.reason
        async with providers.use(Role.STORE):
            pass


@pytest.mark.requirement("R1.12")
async def test_an_error_of_frith_in_a_group_is_raised_by_itself(shelf: Shelf) -> None:
    cause = no_descriptors()
    ours = StoreError("no disk")
    ours.__cause__ = cause
    async with opened(shelf) as providers:
        with pytest.raises(StoreError, match="no disk") as failed:
            async with providers.use(Role.STORE):
                raise ExceptionGroup("", [ValueError(), ExceptionGroup("", [ours])])
        assert failed.value is ours
        assert failed.value.__cause__ is cause


@pytest.mark.requirement("R1.12")
async def test_an_error_of_frith_that_opening_raises_in_a_group_is_raised_by_itself(
    shelf: Shelf,
) -> None:
    shelf.opening = raising(ExceptionGroup("", [StoreError("no disk")]))
    async with opened(shelf, store="scripted") as providers:
        with pytest.raises(StoreError, match="no disk"):
            async with providers.use(Role.STORE):
                pass


async def test_an_interrupt_during_a_call_of_a_provider_reaches_the_host(shelf: Shelf) -> None:
    async with opened(shelf) as providers:
        with pytest.raises(KeyboardInterrupt):
            async with providers.use(Role.STORE):
                raise KeyboardInterrupt


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize(("call", "told"), UNTYPED.values(), ids=UNTYPED)
async def test_whatever_a_provider_raises_when_it_is_opened_is_told_as_its_failure(
    call: Callable[[], Awaitable[None]], told: str, shelf: Shelf
) -> None:
    shelf.opening = call
    async with opened(shelf, store="scripted") as providers:
        with pytest.raises(ProviderFailedError) as failed:
            async with providers.use(Role.STORE):
                pass
        assert told in failed.value.reason
        assert failed.value.ended
        async with providers.use(Role.WORKSPACE):
            pass


@pytest.mark.requirement("R6.3")
@pytest.mark.parametrize(("call", "told"), UNTYPED.values(), ids=UNTYPED)
async def test_whatever_a_provider_raises_when_it_is_closed_is_logged(
    call: Callable[[], Awaitable[None]], told: str, shelf: Shelf, logged: list[Any]
) -> None:
    shelf.closing = call
    async with opened(shelf, store="scripted") as providers, providers.use(Role.STORE):
        pass
    (entry,) = logged
    assert (entry["event"], entry["name"]) == ("provider_failed", "scripted")
    assert told in entry["reason"]


async def test_a_provider_that_fails_to_close_is_logged_and_the_others_are_closed(
    shelf: Shelf, logged: list[Any]
) -> None:
    async with opened(shelf, store="sore-loser") as providers:
        for role in (Role.WORKSPACE, Role.STORE):
            async with providers.use(role):
                pass
    assert shelf.happened == ["open workspace", "close workspace"]
    assert [(entry["event"], entry["name"]) for entry in logged] == [
        ("provider_failed", "sore-loser")
    ]


def test_capabilities_are_those_that_the_chosen_provider_declares(shelf: Shelf) -> None:
    plugins = Plugins()
    plugins.add("shelf", shelf)
    for name, expected in (("feeble", True), ("plain", False)):
        providers = Providers(None, configuration(store=name), plugins)  # type: ignore[arg-type]
        assert providers.can(Role.STORE, name, Capability.WATCH) is expected
