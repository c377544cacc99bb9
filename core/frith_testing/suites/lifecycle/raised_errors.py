"""Exceptions that a plugin must not raise, although frith would contain them."""

from __future__ import annotations

from functools import partial
from typing import Any

from frith._engine.hooks import HookCall
from frith.config import ManagerConfig
from frith_testing.harness.base import Conformance
from frith_testing.harness.promises import promise
from frith_testing.suites.lifecycle.configured import configured
from frith_testing.suites.lifecycle.hook_call import Call


class RaisedErrorsConformance(Conformance, suite="lifecycle", subject="plugin"):
    """Promises about the exceptions of a plugin."""

    @promise(since="1.1")
    def test_a_plugin_is_loaded_and_configured_without_an_error(
        self, plugin: Any, config: ManagerConfig
    ) -> None:
        with configured(plugin, config):
            pass

    @promise(since="1.1")
    async def test_hooks_raise_neither_a_cancellation_nor_an_exit(self, calls: list[Call]) -> None:
        for call in calls:
            made = HookCall(partial(call.function, call.event), call.timeout)
            await made.run()
            contained = made.error is None or isinstance(made.error, Exception)
            assert contained, f"{call.hook} raised {made.error!r}"
