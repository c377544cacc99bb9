"""A plugin with lifecycle hooks behaves the same however often it is called."""

from __future__ import annotations

from typing import Any

import anyio

from frith import hookspecs
from frith.config import ManagerConfig
from frith.errors import SessionVetoed
from frith_testing.harness.base import Conformance
from frith_testing.harness.promises import promise
from frith_testing.harness.resources import resources_now
from frith_testing.suites.lifecycle.configured import configured
from frith_testing.suites.lifecycle.hook_call import Call
from frith_testing.suites.lifecycle.process_state import watched_loop

LONGEST_PAUSE = 1.0
"""Seconds for which a hook may block the event loop."""
TRIES = 3
"""Attempts after which a pause counts, because a busy machine causes single ones."""
CALLS, ENOUGH = 100, 1.0
"""How often a hook is called, and the seconds after which fewer calls suffice."""


class RepeatedCallsConformance(Conformance, suite="lifecycle", subject="plugin"):
    """Promises about many calls.

    The first test must run before all others of the suite, because it finds vetoes that hold only
    once.
    """

    @promise(since="1.1")
    async def test_a_veto_holds_for_repeated_calls(self, calls: list[Call]) -> None:
        for call in calls:
            if call.hook in hookspecs.VETO_HOOKS:
                vetoes = [isinstance(await call.answer(), SessionVetoed) for _ in range(3)]
                assert len(set(vetoes)) == 1, f"{call.hook} vetoes only some of them: {vetoes}"

    @promise(since="1.1")
    async def test_repeated_calls_of_hooks_do_not_block_the_event_loop(
        self, calls: list[Call]
    ) -> None:
        by_hook: dict[str, list[Call]] = {}
        for call in calls:
            by_hook.setdefault(call.hook, []).append(call)
        for hook, samples in by_hook.items():
            pauses: list[float] = []
            while not pauses or (pauses[-1] >= LONGEST_PAUSE and len(pauses) < TRIES):
                pauses.append(await _longest_pause(samples))
            pause = min(pauses)
            assert pause < LONGEST_PAUSE, f"{hook} blocks the event loop for {pause:.1f} s"

    @promise(since="1.1")
    def test_configuring_leaks_no_threads_and_no_descriptors(
        self, plugin: Any, config: ManagerConfig
    ) -> None:
        # A host may open many managers, and each configures the plugin.
        used = []
        for _ in range(3):
            with configured(plugin, config):
                pass
            used.append(resources_now())
        for what in used[0]:
            first, second, third = (resources[what] for resources in used)
            assert not first < second < third, f"each call of frith_configure leaves {what} behind"


async def _longest_pause(samples: list[Call]) -> float:
    """Call a hook with ``samples`` in turn; return the longest pause of the event loop."""
    async with watched_loop() as loop:
        with anyio.move_on_after(ENOUGH):
            for number in range(CALLS):
                await samples[number % len(samples)].answer()
                await anyio.lowlevel.checkpoint()
                if loop.longest_pause() >= LONGEST_PAUSE:
                    break
        return loop.longest_pause()
