"""What a plugin keeps for each manager: its options, its hooks, and where that manager logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from frith import Options, PluginState, hookimpl
from frith._engine import lifespan
from frith.config import ManagerConfig
from frith.errors import ConfigurationError, PluginError
from frith.events import SessionCreated, SessionUpdated
from frith.logs import log

from .managers import manager
from .world import World

pytestmark = pytest.mark.requirement("R6.3")


class Lines(logging.Handler):
    """A logger for one manager, and the events that it gets."""

    def __init__(self, level: int = logging.INFO) -> None:
        super().__init__()
        self.logger = logging.Logger("frith", level)
        self.logger.addHandler(self)
        self.events: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(json.loads(record.getMessage())["event"])

    @hookimpl
    def frith_logger(self) -> logging.Logger:
        return self.logger


class Greeting:
    """Greets as the options of one manager say."""

    class Model(Options):
        greeting: str = "hello"

    def __init__(self, greeting: str, told: list[str]) -> None:
        self.greeting, self.told = greeting, told

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        self.told.append(f"{self.greeting} {event.session.name}")


class Greeter:
    """A plugin that serves several managers; it has a hook of its own, too."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> Greeting:
        return Greeting(config.plugin_options("own-0", Greeting.Model).greeting, self.told)

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        self.told.append(f"{event.session.name} is new")


def returning(make: Callable[[], object]) -> object:
    """Return a plugin whose ``frith_configure`` returns what ``make`` returns."""

    class Plugin:
        @hookimpl
        def frith_configure(self) -> object:
            return make()

    return Plugin()


def greeting(greeting: str) -> dict[str, Any]:
    return {"plugin": {"own-0": {"greeting": greeting}}}


async def test_each_manager_calls_the_hooks_that_its_options_made() -> None:
    plugin = Greeter()
    async with (
        manager(World(), plugin, options=greeting("hello")) as one,
        manager(World(), plugin, options=greeting("good day")) as other,
    ):
        await one.create_session("ann", start=False)
        await other.create_session("bob", start=False)
        await one.create_session("cid", start=False)
    assert plugin.told == [
        *("ann is new", "hello ann"),
        *("bob is new", "good day bob"),
        *("cid is new", "hello cid"),
    ]


async def test_what_a_plugin_holds_is_entered_and_left_with_the_manager() -> None:
    story: list[str] = []

    def holding(name: str) -> object:
        @contextmanager
        def hold() -> Iterator[object]:
            story.append(f"enter {name}")
            yield Greeting(f"{name}:", story)
            story.append(f"leave {name}")

        return returning(hold)

    async with manager(World(), holding("one"), holding("two")) as opened:
        story.append("opened")
        await opened.create_session("ann", start=False)
        assert story[2:] == ["opened", "one: ann", "two: ann"]
    assert (story[:2], story[5:]) == (["enter one", "enter two"], ["leave two", "leave one"])


@pytest.mark.parametrize("later", ["a plugin refuses its options", "the store cannot be opened"])
async def test_what_a_plugin_holds_is_left_if_the_manager_does_not_open(later: str) -> None:
    story: list[str] = []

    @contextmanager
    def hold() -> Iterator[None]:
        yield
        story.append("left")

    def refuse() -> None:
        raise ConfigurationError("options.plugin.other", "no")

    world = World()
    plugins = [returning(hold)]
    if later == "a plugin refuses its options":
        plugins.append(returning(refuse))
    else:
        world.faults["open store"] = [OSError("no disk")] * 2
    with pytest.raises(Exception, match="no"):
        async with manager(world, *plugins):
            pass
    assert story == ["left"]


async def test_what_cannot_be_left_is_logged_and_the_rest_is_left(logged: list[Any]) -> None:
    story: list[str] = []

    @contextmanager
    def hold() -> Iterator[None]:
        yield
        story.append("left")

    @contextmanager
    def cling() -> Iterator[None]:
        yield
        raise SystemExit(3)

    async with manager(World(), returning(hold), returning(cling)):
        pass
    assert story == ["left"]
    (line,) = [line for line in logged if line["event"] == "plugin_not_closed"]
    assert (line["plugin"], line["reason"]) == ("own-1", "SystemExit(3)")


class Misspelled:
    @hookimpl
    async def frith_session_creatd(self) -> None: ...


class WithProviders:
    @hookimpl
    def frith_providers(self) -> list[Any]:
        return []


class LogsNowhere:
    @hookimpl
    def frith_logger(self) -> Any:
        return "frith.log"


@asynccontextmanager
async def _waiting() -> Any:
    yield


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: True, "it returned True, which implements no hook"),
        (_waiting, "which implements no hook"),
        (Misspelled, "did you mean 'frith_session_created'?"),
        (WithProviders, "which implements frith_providers"),
        (Greeter, "which implements frith_configure, frith_session_created"),
        (LogsNowhere, "frith_logger returned 'frith.log', which is not a logging.Logger"),
    ],
)
async def test_a_plugin_that_returns_something_else_is_failed(
    make: Callable[[], object], reason: str
) -> None:
    async with manager(World(), returning(make), Greeter()) as opened:
        records = {record.name: record for record in opened.plugins}
        assert records["own-0"].state is PluginState.FAILED
        assert reason in records["own-0"].reason
        assert records["own-1"].state is PluginState.LOADED
        await opened.create_session(start=False)


class Fails:
    """A plugin of a host, which logs, and fails."""

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        log.info("noticed")
        raise RuntimeError("no")


async def test_each_line_of_a_manager_goes_to_its_own_logger_only(logged: list[Any]) -> None:
    one, other = Lines(), Lines(logging.ERROR)
    async with (
        manager(World(), Fails(), returning(lambda: one)) as first,
        manager(World(), Fails(), returning(lambda: other)) as second,
        manager(World(), Fails()) as plain,
    ):
        await first.create_session(start=False)
        assert (one.events, other.events, logged) == (["noticed", "hook_failed"], [], [])
        await second.create_session(start=False)
        assert (len(one.events), other.events, logged) == (2, ["hook_failed"], [])
        await plain.create_session(start=False)
        log.info("said by the host")
    assert (len(one.events), len(other.events)) == (2, 1)
    assert [line["event"] for line in logged] == ["noticed", "hook_failed", "said by the host"]


async def test_a_manager_that_a_hook_opens_has_its_own_log(logged: list[Any]) -> None:
    lines = Lines()

    class Opens:
        @hookimpl
        async def frith_session_created(self, event: SessionCreated) -> None:
            async with manager(World(), Fails()) as inner:
                await inner.create_session(start=False)

    async with manager(World(), Opens(), returning(lambda: lines)) as outer:
        await outer.create_session(start=False)
    assert lines.events == []
    assert [line["event"] for line in logged] == ["noticed", "hook_failed"]


@pytest.mark.usefixtures("hasty")
async def test_what_background_tasks_and_closing_log_goes_to_the_same_logger(
    logged: list[Any],
) -> None:
    lines = Lines()

    class Updated:
        @hookimpl
        async def frith_session_updated(self, event: SessionUpdated) -> None:
            log.info("updated")

    world = World()
    async with manager(world, Updated(), returning(lambda: lines)) as opened:
        session = await opened.create_session(start=False)
        await opened.update_session(session.id, name="renamed")
        world.faults["close store"] = [OSError("stuck")]
    assert lines.events == ["updated", "provider_failed"]
    assert logged == []


async def test_what_closing_logs_goes_to_the_same_logger(hanging: Any, logged: list[Any]) -> None:
    lines, world = Lines(), World()
    async with manager(world, returning(lambda: lines), terminate_grace=0) as opened:
        await opened.create_session()
        world.meanwhile["terminate"] = [hanging(lifespan)]
    assert lines.events == ["closing_step_abandoned"]
    assert logged == []


async def test_a_plugin_object_of_the_host_still_raises_what_is_wrong_with_itself() -> None:
    with pytest.raises(PluginError, match="creatd"):
        async with manager(World(), Misspelled()):
            pass
