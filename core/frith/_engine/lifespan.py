"""Opening the engines of a manager, and closing them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from anyio import CancelScope, create_task_group, move_on_after
from anyio.abc import TaskGroup

from frith._engine.context import Engine
from frith._engine.reactions import Reactions
from frith.config import ManagerConfig
from frith.errors import FrithError
from frith.logs import log
from frith.plugins import PluginRecord, load_plugins

_PATIENCE = 30.0
"""Seconds that one step of closing may take beyond the grace of processes."""


class Lifespan:
    """One opening of a manager. Owns the task group from which every task is started."""

    def __init__(
        self, engine: Engine, task_group: TaskGroup, plugins: tuple[PluginRecord, ...]
    ) -> None:
        self.engine = engine
        self.plugins = plugins
        self._task_group = task_group

    @classmethod
    async def open(
        cls,
        config: ManagerConfig,
        own_plugins: Mapping[str, object],
        reactions: Callable[[Engine], Reactions],
    ) -> Lifespan:
        """Load the plugins and start the writer of the ledger."""
        plugins = load_plugins(config, own_plugins)
        plugins.configure(config)
        task_group = create_task_group()
        engine = Engine(config, plugins, task_group, reactions)
        await task_group.__aenter__()
        engine.tasks.start(engine.ledger.run)
        return cls(engine, task_group, tuple(plugins.records))

    async def close(self) -> None:
        """End what cannot outlive this process, store deferred changes, close the providers.

        The task group is closed without the host's exception: in a task group that exception would
        reach the host wrapped in an exception group.
        """
        engine, grace = self.engine, self.engine.config.terminate_grace
        with CancelScope(shield=True):
            for step, patience in (
                (engine.calls.end, grace + _PATIENCE),
                (engine.processes.cancel_takeovers, _PATIENCE),
                (engine.processes.end_with_host, grace + _PATIENCE),
                (self._flush, _PATIENCE),
                (engine.markers.flush, _PATIENCE),
                (engine.claims.give_all_back, _PATIENCE),
                (engine.unfollow, _PATIENCE),
                (engine.providers.close, grace + _PATIENCE),
            ):
                with move_on_after(patience) as scope:
                    await step()
                if scope.cancelled_caught:
                    log.error("closing_step_abandoned", step=step.__name__, seconds=patience)
            await engine.tasks.cancel()
        await self._task_group.__aexit__(None, None, None)

    async def _flush(self) -> None:
        try:
            await self.engine.ledger.flush()
        except FrithError as error:
            log.error("flush_failed", reason=str(error))
