"""What every plugin with lifecycle hooks must do: see :mod:`spinney.hookspecs`."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

from spinney import hookspecs
from spinney._loading import Plugins
from spinney.config import ManagerConfig
from spinney.errors import SessionVetoed
from spinney.events import Event
from spinney_testing._base import Conformance
from spinney_testing._events import sample_events

LIFECYCLE_HOOKS = tuple(
    name for name, hook in vars(hookspecs).items() if inspect.iscoroutinefunction(hook)
)

Hook = Callable[[Event], Awaitable[None]]


class LifecyclePluginConformance(Conformance, suite="lifecycle", subject="plugin"):
    """Tests of a plugin with lifecycle hooks.

    Define the fixture ``plugin``, which returns the module or object that implements them.
    """

    @pytest.fixture
    def config(self, tmp_path: Path) -> ManagerConfig:
        """Return the configuration of the host; override it if the plugin needs options."""
        return ManagerConfig(workspace=tmp_path)

    @pytest.fixture
    def configured(self, plugin: Any, config: ManagerConfig) -> Plugins:
        """Return the plugin loaded and configured as spinney does it."""
        plugins = Plugins()
        plugins.add("plugin", plugin)
        for configure in plugins.implementations("spinney_configure"):
            configure.call(config)
        return plugins

    @pytest.fixture
    def calls(self, configured: Plugins, config: ManagerConfig) -> list[tuple[str, Hook, Event]]:
        """Return every lifecycle hook that the plugin implements, with each sample event."""
        return [
            (name, implementation.call, event)
            for name in LIFECYCLE_HOOKS
            for implementation in configured.implementations(name)
            for event in sample_events(name, str(config.workspace))
        ]

    def test_every_hook_is_implemented_as_specified(self, plugin: Any) -> None:
        Plugins().add("plugin", plugin)

    def test_providers_are_offered_alike_each_time(self, configured: Plugins) -> None:
        for offer in configured.implementations("spinney_providers"):
            assert list(offer.call()) == list(offer.call())

    def test_logging_stays_as_the_host_configured_it(
        self, plugin: Any, config: ManagerConfig
    ) -> None:
        before = _state_of_logging()
        plugins = Plugins()
        plugins.add("plugin", plugin)
        for configure in plugins.implementations("spinney_configure"):
            configure.call(config)
        assert _state_of_logging() == before

    async def test_hooks_answer_in_time_with_nothing_or_a_veto(
        self, calls: list[tuple[str, Hook, Event]], config: ManagerConfig
    ) -> None:
        for name, call, event in calls:
            with anyio.fail_after(config.hook_timeout):
                try:
                    # A plugin without types may well return something.
                    answer = await call(event)  # type: ignore[func-returns-value]
                except SessionVetoed:
                    assert name in hookspecs.VETO_HOOKS, f"{name} may not veto"
                else:
                    assert answer is None, f"{name} returns something"

    async def test_cancelled_hooks_end(
        self, calls: list[tuple[str, Hook, Event]], config: ManagerConfig
    ) -> None:
        for _, call, event in calls:
            with anyio.fail_after(config.hook_timeout), anyio.CancelScope() as scope:
                scope.cancel()
                with suppress(SessionVetoed):
                    await call(event)


def _state_of_logging() -> object:
    root = logging.getLogger()
    return structlog.is_configured(), root.level, tuple(root.handlers)
