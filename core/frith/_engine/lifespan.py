"""Opening the engines of a manager, and closing them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from anyio import CancelScope, create_task_group, move_on_after

from frith._engine.context import Engine
from frith._engine.reactions import Reactions
from frith.config import ManagerConfig
from frith.errors import FrithError
from frith.logs import log, logged_by
from frith.plugins import load_plugins

_PATIENCE = 30.0
"""Seconds that one step of closing may take beyond the grace of processes."""


async def open_engine(
    config: ManagerConfig,
    own_plugins: Mapping[str, object],
    reactions: Callable[[Engine], Reactions],
) -> Engine:
    """Load the plugins and start the writer of the ledger."""
    plugins = load_plugins(config, own_plugins)
    plugins.check_sections(config)
    plugins.configure(config)
    task_group = create_task_group()
    engine = Engine(config, plugins, task_group, reactions)
    await task_group.__aenter__()
    engine.tasks.start(engine.ledger.run)
    return engine


async def close_engine(engine: Engine) -> None:
    """End what cannot outlive this process, store deferred changes, close providers and plugins."""
    grace = engine.config.terminate_grace

    async def flush_ledger() -> None:
        try:
            await engine.ledger.flush()
        except FrithError as error:
            log.error("flush_failed", reason=str(error))

    with CancelScope(shield=True), logged_by(engine.plugins.logger):
        for step, patience in (
            (engine.tasks.end_calls, grace + _PATIENCE),
            (engine.processes.cancel_takeovers, _PATIENCE),
            (engine.processes.end_with_host, grace + _PATIENCE),
            (flush_ledger, _PATIENCE),
            (engine.markers.flush, _PATIENCE),
            (engine.claims.give_all_back, _PATIENCE),
            (engine.unfollow, _PATIENCE),
            (engine.providers.close, grace + _PATIENCE),
        ):
            with move_on_after(patience) as scope:
                await step()
            if scope.cancelled_caught:
                log.error("closing_step_abandoned", step=step.__name__, seconds=patience)
    try:
        await engine.tasks.close()
    finally:
        engine.plugins.close()
