"""The processes of sessions that this manager runs: watching and ending them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeVarTuple

from anyio import CancelScope, Event, create_task_group, sleep

from frith._engine.claims import HeldClaim
from frith._engine.ledger import COALESCE
from frith._engine.pending import Amendment
from frith._engine.status_watch import StatusRecorder
from frith._engine.tasks import Task, Tasks, closing
from frith.errors import ClaimLostError, FrithError, SessionNotFoundError
from frith.events import ProcessExited
from frith.logs import log
from frith.model import ExitStatus, Session, SessionId, SessionStatus, Source, now
from frith.ports import AttachMode, Terminal
from frith.providers import Capability, Role

if TYPE_CHECKING:
    from frith._engine.context import Engine


_Args = TypeVarTuple("_Args")


class Ending(Enum):
    """Why a process ends."""

    ITSELF = auto()
    STOP = auto()
    """A user or another host asked for it."""
    HOST = auto()
    """Its host is closing."""


class ProcessTable:
    """The processes of one manager, by session."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._running: dict[SessionId, RunningProcess] = {}
        self._ended: dict[SessionId, Terminal] = {}
        self._uncollected: dict[SessionId, RunningProcess] = {}
        self._takeovers: dict[SessionId, Task] = {}
        self.takes_over = False
        """Whether this manager takes over the processes of hosts that go away."""

    def get(self, session_id: SessionId) -> RunningProcess | None:
        """Return the process of a session that this manager runs, though its claim may be lost."""
        return self._running.get(session_id)

    def owned(self, session_id: SessionId) -> RunningProcess | None:
        """Return the process of a session, if this manager runs it and holds the claim."""
        process = self._running.get(session_id)
        return process if process is not None and not process.claim.is_lost else None

    def add(self, process: RunningProcess) -> None:
        """Enter a process that runs from now on."""
        self._running[process.session_id] = process
        self.forget(process.session_id)

    def remove(self, process: RunningProcess, *, ended: bool) -> bool:
        """Remove a process, and keep its terminal if it has ended; return whether it was here."""
        if self._running.get(process.session_id) is not process:
            return False
        del self._running[process.session_id]
        if ended:
            self._ended[process.session_id] = process.terminal
        return True

    def ended(self, session_id: SessionId) -> Terminal | None:
        """Return the terminal of the last process of a session, if it ended in this manager."""
        return self._ended.get(session_id)

    def forget(self, session_id: SessionId) -> None:
        """Drop the terminal of a process that has ended."""
        self._ended.pop(session_id, None)

    def forget_replaced(self, before: Session | None, after: Session | None) -> None:
        """Drop the terminal that ended here, if another host has run the session since."""
        known = after or before
        terminal = self._ended.get(known.id) if known is not None else None
        if known is None or terminal is None:
            return
        evidence = after.evidence if after is not None else None
        if (
            after is None
            or after.details.terminal_ref not in (None, terminal.ref)
            or (
                evidence is not None
                and evidence.source is Source.PROCESS
                and (before is None or evidence != before.evidence)
            )
        ):
            self.forget(known.id)

    def collect_later(self, process: RunningProcess) -> None:
        """Keep a process that has ended until the store has its end."""
        self._uncollected[process.session_id] = process

    def collect_stored(self, session_id: SessionId) -> None:
        """Let the provider forget a process whose end is stored now, if there is one."""
        process = self._uncollected.pop(session_id, None)
        if process is not None:
            self._tasks.start(process.collect)

    def take_over_later(
        self,
        session_id: SessionId,
        wait: Callable[[*_Args], Coroutine[Any, Any, None]],
        *args: *_Args,
    ) -> None:
        """Run ``wait(*args)``, which takes over the process of a session, unless that runs already.

        Nothing happens if this manager takes over no process, or runs this one.
        """
        waiting = self._takeovers.get(session_id)
        if self.takes_over and (waiting is None or waiting.is_done) and not self.owned(session_id):
            self._takeovers[session_id] = self._tasks.start(wait, *args)

    async def cancel_takeovers(self) -> None:
        """Take over no process from now on."""
        self.takes_over = False
        for task in self._takeovers.values():
            await task.cancel()

    async def end_with_host(self) -> None:
        """End every process that cannot outlive this one."""
        async with create_task_group() as tasks:
            for process in tuple(self._running.values()):
                if not process.outlives_its_host:
                    tasks.start_soon(self._end_with_host, process)

    async def _end_with_host(self, process: RunningProcess) -> None:
        try:
            await process.end(Ending.HOST)
        except FrithError as error:
            log.error("process_not_ended", session_id=process.session_id, reason=str(error))


class RunningProcess:
    """One running process, the claim on its session, and the tasks that watch it."""

    def __init__(
        self, engine: Engine, claim: HeldClaim, terminal: Terminal, provider: str | None = None
    ) -> None:
        """Take charge of a process.

        Args:
            engine: the manager's.
            claim: the claim on its session.
            terminal: the process.
            provider: name of the terminal provider that it comes from; the chosen one by default.
        """
        self._engine = engine
        self._provider = provider or engine.config.terminal
        self._ending = Ending.ITSELF
        self._claim_users = 0
        """How many callers keep the claim after the exit."""
        self._claim_released = False
        self._recorded = Event()
        self._status = StatusRecorder(engine, claim, terminal)
        self._tasks: list[Task] = []
        self._terminating: set[CancelScope] = set()
        self.session_id = claim.session_id
        self.claim = claim
        self.terminal = terminal

    def watch(self) -> None:
        """Watch the process from now on, in tasks of the manager, and follow the store."""
        self._engine.follow()
        self._engine.processes.add(self)
        watches = (self._watch_exit, self._watch_output, self._status.run)
        self._tasks = [self._engine.tasks.start(watch) for watch in watches]
        if self.claim.is_lost:  # since it was recorded
            self.lose()

    def lose(self) -> None:
        """Stop managing the process, which another host may run by now.

        Nothing is ended, recorded or collected.
        """
        self._engine.processes.remove(self, ended=False)
        for scope in self._terminating:
            scope.cancel()
        for task in self._tasks:
            task.end_soon()
        self.terminal.detach()
        self._recorded.set()

    @property
    def outlives_its_host(self) -> bool:
        """Whether the process continues when this manager is closed."""
        return self._engine.providers.can(Role.TERMINAL, self._provider, Capability.ADOPT)

    def tell(self, session: Session) -> None:
        """Pass on the status of ``session`` to the detector, if it was reported."""
        self._status.tell(session)

    async def end(self, ending: Ending, *, keep_claim: bool = False) -> None:
        """End the process and wait until that is recorded.

        Args:
            ending: why.
            keep_claim: whether the caller goes on using :attr:`claim`, and gives it back.

        Raises:
            SessionOwnedError: the claim was to be kept, and another process was faster.
            ClaimLostError, ClaimDoubtfulError: the session may not be owned: nothing is ended.
        """
        self.claim.check()
        self._ending = ending
        self._claim_users += keep_claim
        try:
            await self._terminate()
            await self.ended()
            self.claim.check()
            if keep_claim and self._claim_released:
                self.claim = await self._engine.claims.take(self.session_id)
        except BaseException:
            self._claim_users -= keep_claim
            if self._recorded.is_set() and not self._claim_users:
                with CancelScope(shield=True):
                    await self._engine.claims.give_back(self.claim)
            raise

    async def _terminate(self) -> None:
        with CancelScope() as scope:
            self._terminating.add(scope)
            try:
                async with self._engine.providers.use(Role.TERMINAL, self._provider):
                    await self.terminal.terminate(self._engine.config.terminate_grace)
            finally:
                self._terminating.discard(scope)

    async def ended(self) -> None:
        """Wait until the process has ended and that is recorded."""
        await self._recorded.wait()

    async def collect(self) -> None:
        """Tell the provider that the end is stored, so that it need not keep it any longer."""
        try:
            async with self._engine.providers.use(Role.TERMINAL, self._provider):
                await self.terminal.collect()
        except Exception as error:
            log.warning("exit_not_collected", session_id=self.session_id, reason=error)

    async def _watch_exit(self) -> None:
        engine = self._engine
        exit_status: ExitStatus | None = None
        try:
            async with engine.providers.use(Role.TERMINAL, self._provider):
                exit_status = await self.terminal.exited()
                await self.terminal.drained()
        except Exception as error:
            log.error("terminal_lost", session_id=self.session_id, reason=error)
        before = engine.ledger.get(self.session_id)
        session = await self._record(exit_status)
        if not self._claim_users:
            self._claim_released = True
            await engine.claims.give_back(self.claim)
        if not engine.processes.remove(self, ended=True):
            return  # the claim is lost
        self._recorded.set()
        if session is not None and before is not None:
            await engine.announce_status(before, session)
            if exit_status is not None:
                await engine.hooks.notify(
                    ProcessExited(workspace=engine.workspace, session=session, exit=exit_status)
                )

    async def _record(self, exit_status: ExitStatus | None) -> Session | None:
        engine, status, ref = self._engine, self._status_after(exit_status), dict(self.terminal.ref)

        def amendment(session: Session) -> Session:
            if session.details.terminal_ref not in (None, ref):
                return session  # stored late: the session has another process by now
            return without_process(session, status, exit_status)

        engine.ledger.deferred.cancel((self.session_id, "process"))
        try:
            session = await engine.ledger.amend(self.session_id, amendment, claim=self.claim)
            engine.markers.write_later(self.session_id)
        except (SessionNotFoundError, ClaimLostError):
            return None
        except Exception as error:
            log.error("exit_not_stored", session_id=self.session_id, reason=error)
            engine.ledger.defer(self.session_id, "process", amendment, claim=self.claim)
            engine.processes.collect_later(self)
            return engine.ledger.get(self.session_id)
        await self.collect()
        return session

    def _status_after(self, exit_status: ExitStatus | None) -> SessionStatus:
        if self._ending is Ending.HOST or exit_status is None:
            return SessionStatus.IDLE
        if self._ending is Ending.STOP:
            return SessionStatus.STOPPED
        if self.terminal.was_shut_down:
            return SessionStatus.IDLE
        return SessionStatus.STOPPED if exit_status.code == 0 else SessionStatus.ERROR

    async def _watch_output(self) -> None:
        try:
            async with (
                self._engine.providers.use(Role.TERMINAL, self._provider),
                self.terminal.attach(mode=AttachMode.LOSSY) as attachment,
                closing(attachment) as output,
            ):
                async for _ in output:
                    await self._note_activity()
                    await sleep(COALESCE)
        except Exception as error:
            log.warning("activity_lost", session_id=self.session_id, reason=error)

    async def _note_activity(self) -> None:
        ledger = self._engine.ledger
        before = ledger.get(self.session_id)
        ledger.deferred.cancel((self.session_id, "stuck"))
        ledger.defer(self.session_id, "activity", _active_at(now()), claim=self.claim)
        session = ledger.get(self.session_id)
        if before is not None and session is not None:
            await self._engine.announce_update(before, session)


def without_process(
    session: Session, status: SessionStatus, exit_status: ExitStatus | None = None
) -> Session:
    """Return ``session`` as it is once its process is gone."""
    ended = session.evolve(pty_pid=None)
    if session.pty_pid is not None or session.status != status:
        message = str(exit_status) if exit_status is not None else None
        ended = ended.conclude(status, Source.PROCESS, message=message)
    return ended.detail(
        terminal_ref=None,
        owner=None,
        desired=None,
        exit=exit_status or session.details.exit,
        stuck_since=None,
    )


def has_process(session: Session) -> bool:
    """Tell whether the record says that the session has a process."""
    return session.pty_pid is not None or session.details.terminal_ref is not None


def _active_at(moment: datetime) -> Amendment:
    def amendment(session: Session) -> Session:
        active = session.evolve(last_activity=max(moment, session.last_activity))
        return active.detail(stuck_since=None) if active.details.stuck_since else active

    return amendment
