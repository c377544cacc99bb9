"""What a plugin must not do to the program that calls it, although spinney would contain it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from spinney._apart import Apart
from spinney._failures import is_interrupt
from spinney._loading import Plugins
from spinney.config import ManagerConfig
from spinney_testing._base import Conformance
from spinney_testing._promises import promise

if TYPE_CHECKING:
    from spinney_testing.lifecycle import Call


class IsolatingConformance(Conformance, suite="lifecycle", subject="plugin"):
    """The part of the suite that is about what a plugin raises."""

    @promise(since="1.1")
    def test_a_plugin_is_loaded_and_configured_without_an_error(
        self, plugin: Any, config: ManagerConfig
    ) -> None:
        plugins = Plugins()
        plugins.add("plugin", plugin)
        for configure in plugins.implementations("spinney_configure"):
            try:
                configure.call(config)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                pytest.fail(f"spinney_configure raised {error!r}")

    @promise(since="1.1")
    async def test_hooks_raise_neither_a_cancellation_nor_an_exit(self, calls: list[Call]) -> None:
        for call in calls:
            apart = Apart(partial(call.function, call.event), call.timeout)
            await apart.run()
            contained = apart.error is None or isinstance(apart.error, Exception)
            assert contained, f"{call.hook} raised {apart.error!r}"
