"""The suite for plugins with lifecycle hooks: see :mod:`frith.hookspecs`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith import hookspecs
from frith.config import ManagerConfig
from frith.errors import SessionVetoed
from frith.plugins import Plugins
from frith_testing.harness.resources import resources_now
from frith_testing.suites.lifecycle.configured import calls_of
from frith_testing.suites.lifecycle.configured import configured as configured_plugin
from frith_testing.suites.lifecycle.hook_call import LIFECYCLE_HOOKS as LIFECYCLE_HOOKS
from frith_testing.suites.lifecycle.hook_call import Call
from frith_testing.suites.lifecycle.host_process import HostProcessConformance
from frith_testing.suites.lifecycle.process_state import (
    Cancelled,
    logging_now,
    process_now,
    tasks_now,
    watched_loop,
)
from frith_testing.suites.lifecycle.raised_errors import RaisedErrorsConformance
from frith_testing.suites.lifecycle.repeated_calls import (
    LONGEST_PAUSE,
    TRIES,
    RepeatedCallsConformance,
)
from frith_testing.suites.lifecycle.sample_events import content_of
from frith_testing.suites.lifecycle.several_managers import SeveralManagersConformance


class LifecyclePluginConformance(
    HostProcessConformance,
    RepeatedCallsConformance,
    RaisedErrorsConformance,
    SeveralManagersConformance,
    suite="lifecycle",
    subject="plugin",
):
    """Tests of a plugin with lifecycle hooks.

    Define the fixture ``plugin``, which returns the module or object that implements the hooks. A
    plugin with options is tested with those of the fixture ``config``, beside a manager with those
    of the fixture ``other_config``. The hooks are called with plain events and with odd ones: long
    and empty texts, control characters.
    """

    @pytest.fixture
    def config(self, tmp_path: Path) -> ManagerConfig:
        """Return the configuration of a manager; override it if the plugin has options."""
        return ManagerConfig(workspace=tmp_path)

    @pytest.fixture
    def configured(self, plugin: Any, config: ManagerConfig) -> Iterator[Plugins]:
        """Return the plugin, loaded and configured as frith does it."""
        with configured_plugin(plugin, config) as plugins:
            yield plugins

    @pytest.fixture
    def calls(self, configured: Plugins, config: ManagerConfig) -> list[Call]:
        """Return every lifecycle hook that the plugin implements, with each sample event."""
        return calls_of(configured, config)

    def test_every_hook_is_implemented_as_specified(self, plugin: Any) -> None:
        Plugins().add("plugin", plugin)

    def test_every_call_offers_the_same_providers(self, configured: Plugins) -> None:
        for offer in configured.implementations("frith_providers"):
            assert list(offer.call()) == list(offer.call())

    def test_loading_and_configuring_do_not_change_logging(
        self, plugin: Any, config: ManagerConfig
    ) -> None:
        before = logging_now()
        with configured_plugin(plugin, config):
            assert logging_now() == before
        assert logging_now() == before

    async def test_hooks_do_not_change_logging(self, calls: list[Call]) -> None:
        for call in calls:
            before = logging_now()
            await call.answer()
            assert logging_now() == before, call.hook

    async def test_hooks_do_not_change_the_shared_state_of_the_process(
        self, calls: list[Call]
    ) -> None:
        for call in calls:
            before = process_now()
            await call.answer()
            assert process_now() == before, call.hook

    async def test_hooks_return_in_time(self, calls: list[Call]) -> None:
        for call in calls:
            with anyio.move_on_after(call.timeout) as scope, suppress(Exception):
                await Cancelled(call.function(call.event))
            assert not scope.cancelled_caught, f"{call.hook} does not end in time"

    async def test_hooks_return_nothing(self, calls: list[Call]) -> None:
        for call in calls:
            answer = await call.answer()
            nothing = answer is None or isinstance(answer, Exception)
            assert nothing, f"{call.hook} returns {answer!r:.200} instead of None"

    async def test_hooks_take_every_event_without_an_error(self, calls: list[Call]) -> None:
        for call in calls:
            answer = await call.answer()
            if isinstance(answer, Exception) and not isinstance(answer, SessionVetoed):
                pytest.fail(f"{call.hook} raised {answer!r} for {call.event!r:.500}")

    async def test_only_hooks_that_may_veto_raise_a_veto(self, calls: list[Call]) -> None:
        for call in calls:
            if isinstance(await call.answer(), SessionVetoed):
                assert call.hook in hookspecs.VETO_HOOKS, f"{call.hook} must not veto"

    async def test_a_veto_gives_its_reason(self, calls: list[Call]) -> None:
        for call in calls:
            answer = await call.answer()
            if isinstance(answer, SessionVetoed):
                assert answer.reason.strip(), f"{call.hook} raises SessionVetoed without a reason"

    async def test_a_repeated_call_of_a_hook_has_the_same_result(self, calls: list[Call]) -> None:
        for call in calls:
            vetoes = [isinstance(await call.answer(), SessionVetoed) for _ in range(2)]
            assert vetoes[0] == vetoes[1], f"{call.hook} vetoes one of two equal events"

    async def test_hooks_can_be_called_concurrently(self, calls: list[Call]) -> None:
        alone = [type(await call.answer()) for call in calls]
        at_once: dict[int, type] = {}

        async def answer(number: int, call: Call) -> None:
            at_once[number] = type(await call.answer())

        async with anyio.create_task_group() as tasks:
            for number, call in enumerate(calls):
                tasks.start_soon(answer, number, call)
        assert [at_once[number] for number in range(len(calls))] == alone

    async def test_hooks_do_not_change_their_events(self, calls: list[Call]) -> None:
        for call in calls:
            before = content_of(call.event)
            await call.answer()
            assert content_of(call.event) == before, f"{call.hook} changes its event"

    async def test_hooks_do_not_block_the_event_loop(self, calls: list[Call]) -> None:
        for call in calls:
            pause = LONGEST_PAUSE
            for _ in range(TRIES):
                if pause >= LONGEST_PAUSE:
                    pause = await _longest_pause(call)
            assert pause < LONGEST_PAUSE, f"{call.hook} blocks the event loop for {pause:.1f} s"

    async def test_a_cancelled_hook_ends(self, calls: list[Call]) -> None:
        for call in calls:
            cancelled = Cancelled(call.function(call.event))
            ended = True
            with anyio.CancelScope() as scope, suppress(Exception):
                scope.cancel()
                await cancelled
                ended = cancelled.waits == 0
            assert ended, f"{call.hook} does not end when it is cancelled"

    async def test_hooks_leave_no_task_behind(self, calls: list[Call]) -> None:
        for call in calls:
            before = tasks_now()
            await call.answer()
            assert tasks_now() <= before, call.hook

    async def test_hooks_leak_no_threads_and_no_descriptors(self, calls: list[Call]) -> None:
        for call in calls:
            # The first call may open something that later ones use.
            used = []
            for _ in range(3):
                await call.answer()
                used.append(resources_now())
            for what in used[0]:
                first, second, third = (resources[what] for resources in used)
                assert not first < second < third, f"each call of {call.hook} leaves {what} behind"


async def _longest_pause(call: Call) -> float:
    async with watched_loop() as loop:
        await call.answer()
        return loop.longest_pause()
