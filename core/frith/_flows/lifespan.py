"""Opening and closing the parts of a manager, and the tasks that run in between."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVarTuple

from anyio import CancelScope, create_task_group, move_on_after
from anyio.abc import TaskGroup

from frith._engine.binding import bind
from frith._engine.claims import Claims, Owned
from frith._engine.context import Engine
from frith._engine.hooks import Hooks
from frith._engine.ledger import Ledger
from frith._engine.markers import Markers
from frith._engine.open_providers import Providers
from frith._engine.processes import Ending, Running
from frith._engine.status_watch import told
from frith._engine.tasks import Calls, Tasks
from frith._flows import rebuild, start
from frith._flows.terminals import forget_older
from frith.config import ManagerConfig
from frith.errors import CorruptStoreError, FrithError, StoreError
from frith.events import SessionChangedElsewhere, SessionLost
from frith.logs import log
from frith.model import Integrity, Session, SessionStatus, Snapshot
from frith.plugins import PluginRecord, load_plugins

_PATIENCE = 30.0
"""Seconds that one step of closing may take beyond the grace of processes."""

_Args = TypeVarTuple("_Args")


class Lifespan:
    """One opening of a manager: owns its task group, from which every task comes."""

    def __init__(
        self, config: ManagerConfig, own_plugins: Mapping[str, object], task_group: TaskGroup
    ) -> None:
        plugins = load_plugins(config, own_plugins)
        plugins.configure(config)
        tasks = Tasks(task_group)
        providers = Providers(tasks, config, plugins)
        self._task_group = task_group
        self._succeeds = False
        self.plugins: tuple[PluginRecord, ...] = tuple(plugins.records)
        ledger = Ledger(
            providers,
            bind=lambda: bind(self.engine),
            recover=self._recover,
            changed_elsewhere=self._changed_elsewhere,
            flushed=self._flushed,
            distrusted=lambda snapshot: self._later(self._verify, snapshot),
        )
        self.engine = Engine(
            config=config,
            tasks=tasks,
            providers=providers,
            hooks=Hooks(
                plugins,
                config.hook_timeout,
                refuse_broken_creating=config.broken_creating_hook == "refuse",
            ),
            ledger=ledger,
            claims=Claims(tasks, providers, self._lose),
            markers=Markers(tasks, providers, ledger),
            calls=Calls(tasks),
        )

    @classmethod
    async def open(
        cls, config: ManagerConfig, own_plugins: Mapping[str, object], *, restore: bool
    ) -> Lifespan:
        """Load the plugins, open the store and take over its sessions."""
        task_group = create_task_group()
        await task_group.__aenter__()
        lifespan: Lifespan | None = None
        try:
            lifespan = cls(config, own_plugins, task_group)
            lifespan.engine.tasks.start(lifespan.engine.ledger.run)
            await lifespan._start(restore=restore)
        except BaseException:
            if lifespan is not None:
                await lifespan.close()
            else:
                await task_group.__aexit__(None, None, None)
            raise
        return lifespan

    async def _start(self, *, restore: bool) -> None:
        if restore:
            self._succeeds = True
            await start.restore(self.engine)
            self.engine.follow()
            for session in self.engine.ledger.all():
                self._stand_by(session)
            return
        try:
            integrity = (await self.engine.ledger.load()).integrity
        except CorruptStoreError:
            integrity = Integrity.MISSING
        if integrity is not Integrity.VERIFIED:
            await start.restore(self.engine)

    async def close(self) -> None:
        """End what cannot outlive this process, store what is owed, close the providers.

        The task group is left without an exception of the host's in it, so that the host gets
        its own exceptions as they were, not in a group.
        """
        engine, grace = self.engine, self.engine.config.terminate_grace
        with CancelScope(shield=True):
            for step, patience in (
                (engine.calls.end, grace + _PATIENCE),
                (self._stand_down, _PATIENCE),
                (self._end_processes, grace + _PATIENCE),
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

    async def _end_processes(self) -> None:
        async with create_task_group() as tasks:
            for running in tuple(self.engine.running.values()):
                if not running.outlives_its_host:
                    tasks.start_soon(self._end, running)

    async def _end(self, running: Running) -> None:
        try:
            await running.end(Ending.HOST)
        except FrithError as error:
            log.error(
                "process_not_ended", session_id=running.terminal.session_id, reason=str(error)
            )

    async def _flush(self) -> None:
        try:
            await self.engine.ledger.flush()
        except FrithError as error:
            log.error("flush_failed", reason=str(error))

    def _flushed(self, session: Session) -> None:
        self.engine.markers.write_later(session.id)
        ended = self.engine.uncollected.pop(session.id, None)
        if ended is not None:
            self._later(ended.collect)

    def _lose(self, claim: Owned) -> None:
        """Give up a session that another host may own by now; no step waits for anything."""
        engine = self.engine
        running = engine.running.get(claim.session_id)
        if running is not None and running.claim is claim:
            running.lose()
        engine.ledger.forget(claim)
        engine.markers.forget(claim.session_id)
        session = engine.ledger.get(claim.session_id)
        if session is not None:
            self._later(
                engine.hooks.session_lost, SessionLost(workspace=engine.workspace, session=session)
            )
            self._stand_by(session)

    def _stand_by(self, session: Session) -> None:
        """Be ready to take over the process of a session that another host runs."""
        engine, session_id = self.engine, session.id
        is_needed = session.details.terminal_ref is not None and not engine.mine(session_id)
        if self._succeeds and is_needed and session_id not in engine.awaited:
            engine.awaited[session_id] = engine.tasks.start(start.succeed, engine, session_id)

    async def _stand_down(self) -> None:
        """Wait no more for the hosts of other sessions to go away."""
        self._succeeds = False
        for task in tuple(self.engine.awaited.values()):
            await task.cancel()

    def _later(
        self, function: Callable[[*_Args], Coroutine[Any, Any, object]], *args: *_Args
    ) -> None:
        self.engine.tasks.start(function, *args)

    async def _recover(self, cause: StoreError) -> Snapshot:
        return await rebuild.recover(self.engine, cause)

    async def _verify(self, snapshot: Snapshot) -> None:
        log.warning("state_not_verified", reason=snapshot.integrity.value)
        try:
            await rebuild.verify(self.engine, snapshot)
        except FrithError as error:
            log.error("state_not_checked", reason=str(error))

    def _changed_elsewhere(self, before: Session | None, after: Session | None) -> None:
        forget_older(self.engine, before, after)
        self._later(self._heed, before, after)

    async def _heed(self, before: Session | None, after: Session | None) -> None:
        """Do what another process asks of this one, and tell the plugins what it changed."""
        running = self.engine.mine(after.id) if after is not None else None
        if after is not None and after.details.desired is SessionStatus.STOPPED and running:
            try:
                await running.end(Ending.STOP)
            except FrithError as error:
                log.error("request_not_met", session_id=after.id, reason=str(error))
        elif running and before and after and after.evidence != before.evidence:
            conclusion = told(after)
            if conclusion is not None:
                running.tell(conclusion)
        if after is not None:
            self._stand_by(after)
        await self.engine.hooks.session_changed_elsewhere(
            SessionChangedElsewhere(workspace=self.engine.workspace, before=before, after=after)
        )
