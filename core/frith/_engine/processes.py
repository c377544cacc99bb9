"""The processes that this manager runs: starting, watching and ending them."""

from __future__ import annotations

import os
import platform
import pwd
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from functools import cache
from pathlib import Path

from anyio import CancelScope, Event, sleep

from frith._engine.claims import Owned
from frith._engine.context import Engine
from frith._engine.deferred import Amendment
from frith._engine.ledger import COALESCE
from frith._engine.status_watch import Watching, check_detector
from frith._engine.tasks import Task, closing
from frith.errors import ClaimLostError, SessionNotFoundError, SpawnError
from frith.events import ProcessExited
from frith.logs import log
from frith.model import ExitStatus, Owner, Session, SessionStatus, Source, now
from frith.ports import AttachMode, Conclusion, Size, SpawnRequest, Terminal
from frith.providers import Capability, Role, chosen_name


class Ending(Enum):
    """Why a process ends."""

    ITSELF = auto()
    STOP = auto()
    """Somebody asked for it."""
    HOST = auto()
    """Its host goes away."""


def command_for(
    engine: Engine, given: Sequence[str] | None, recorded: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return what to run: as given, else as recorded, else as configured, else the login shell.

    Raises:
        SpawnError: the command given is empty.
    """
    if given is not None:
        if not given:
            raise SpawnError((), "the command is empty")
        return tuple(given)
    return tuple(recorded or engine.config.command or (_login_shell(),))


def _login_shell() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except KeyError:  # in a container the user may have no entry
        return "/bin/sh"


async def spawn(
    engine: Engine, session: Session, env: Mapping[str, str] | None, size: Size
) -> Terminal:
    """Start the recorded command of ``session`` in its worktree.

    Raises:
        SpawnError: it cannot be started.
        PluginError: the status provider is missing, doubled or broken.
    """
    await check_detector(engine)
    request = SpawnRequest(
        session_id=session.id,
        command=session.details.command or (),
        cwd=session.worktree_path,
        workspace=engine.workspace,
        env=dict(env or {}),
        size=size,
    )
    async with engine.providers.use(Role.TERMINAL) as spawner:
        return await spawner.spawn(request)


def with_process(engine: Engine, session: Session, terminal: Terminal) -> Session:
    """Return ``session`` as it is while ``terminal`` runs its process."""
    running = session.evolve(pty_pid=terminal.pid, last_activity=now())
    return running.conclude(SessionStatus.ACTIVE, Source.PROCESS).detail(
        terminal=chosen_name(engine.config, Role.TERMINAL),
        terminal_ref=dict(terminal.ref),
        owner=this_process(),
        desired=None,
        exit=None,
        command=session.details.command,
    )


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
    )


class Running:
    """One running process and the tasks that watch it."""

    def __init__(
        self, engine: Engine, claim: Owned, terminal: Terminal, provider: str | None = None
    ) -> None:
        """Take charge of a process.

        Args:
            engine: the manager's.
            claim: the ownership of its session.
            terminal: the process.
            provider: name of the terminal provider that it comes from; the chosen one by default.
        """
        self._engine = engine
        self._provider = provider or chosen_name(engine.config, Role.TERMINAL)
        self._id = claim.session_id
        self._ending = Ending.ITSELF
        self._heirs = 0
        """How many want to go on owning the session."""
        self._gave_back = False
        self._recorded = Event()
        self._watching = Watching(engine, claim, terminal)
        self._tasks: list[Task] = []
        self._terminating: set[CancelScope] = set()
        self.claim = claim
        self.terminal = terminal

    def watch(self) -> None:
        """Watch the process from now on, in tasks of the manager's."""
        self._engine.running[self._id] = self
        self._engine.ended.pop(self._id, None)
        watches = (self._watch_exit, self._watch_output, self._watching.run)
        self._tasks = [self._engine.tasks.start(watch) for watch in watches]
        if self.claim.is_lost:  # since it was recorded
            self.lose()

    def lose(self) -> None:
        """Let go of the process, which another host may run by now.

        Nothing is ended, recorded or collected.
        """
        if self._engine.running.get(self._id) is self:
            del self._engine.running[self._id]
        for scope in self._terminating:
            scope.cancel()
        for task in self._tasks:
            task.end_soon()
        self.terminal.detach()
        self._recorded.set()

    @property
    def outlives_its_host(self) -> bool:
        """Whether the process runs on when this manager is closed."""
        return self._engine.providers.can(Role.TERMINAL, self._provider, Capability.ADOPT)

    def tell(self, conclusion: Conclusion) -> None:
        """Take what somebody says the process is doing; it is recorded already."""
        self._watching.tell(conclusion)

    async def end(self, ending: Ending, *, keep_claim: bool = False) -> None:
        """End the process and wait until that is recorded.

        Args:
            ending: why.
            keep_claim: whether this process goes on owning the session, by :attr:`claim`.

        Raises:
            SessionOwnedError: it was to own it on, and another process was faster.
            ClaimLostError, ClaimDoubtfulError: it does not own it, or may not: nothing is ended.
        """
        self.claim.check()
        self._ending = ending
        self._heirs += keep_claim
        try:
            await self._terminate()
            await self.ended()
            self.claim.check()
            if keep_claim and self._gave_back:
                self.claim = await self._engine.claims.take(self._id)
        except BaseException:
            self._heirs -= keep_claim
            if self._recorded.is_set() and not self._heirs:
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

    async def _watch_exit(self) -> None:
        exit_status: ExitStatus | None = None
        try:
            async with self._engine.providers.use(Role.TERMINAL, self._provider):
                exit_status = await self.terminal.exited()
                await self.terminal.drained()
        except Exception as error:
            log.error("terminal_lost", session_id=self._id, reason=error)
        before = self._engine.ledger.get(self._id)
        session = await self._record(exit_status)
        if not self._heirs:
            self._gave_back = True
            await self._engine.claims.give_back(self.claim)
        if self._engine.running.get(self._id) is not self:
            return  # it is lost, and was let go of
        del self._engine.running[self._id]
        self._engine.ended[self._id] = self.terminal
        self._recorded.set()
        if session is not None and before is not None:
            await self._announce(before, session, exit_status)

    async def _announce(
        self, before: Session, session: Session, exit_status: ExitStatus | None
    ) -> None:
        engine = self._engine
        await engine.announce_status(before, session)
        if exit_status is not None:
            await engine.hooks.process_exited(
                ProcessExited(workspace=engine.workspace, session=session, exit=exit_status)
            )

    async def _record(self, exit_status: ExitStatus | None) -> Session | None:
        status, ref = self._status_after(exit_status), dict(self.terminal.ref)

        def amendment(session: Session) -> Session:
            if session.details.terminal_ref not in (None, ref):
                return session  # stored late: another process runs in it by now
            return without_process(session, status, exit_status)

        self._engine.ledger.forgive(self._id, "process")
        try:
            session = await self._engine.ledger.amend(self._id, amendment, claim=self.claim)
            self._engine.markers.write_later(self._id)
        except (SessionNotFoundError, ClaimLostError):
            return None
        except Exception as error:
            log.error("exit_not_stored", session_id=self._id, reason=error)
            self._engine.ledger.owe(self._id, "process", amendment, claim=self.claim)
            self._engine.uncollected[self._id] = self
            return self._engine.ledger.get(self._id)
        await self.collect()
        return session

    async def collect(self) -> None:
        """Tell the provider that the end is stored, so that it need not keep it any longer."""
        try:
            async with self._engine.providers.use(Role.TERMINAL, self._provider):
                await self.terminal.collect()
        except Exception as error:
            log.warning("exit_not_collected", session_id=self._id, reason=error)

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
            log.warning("activity_lost", session_id=self._id, reason=error)

    async def _note_activity(self) -> None:
        ledger = self._engine.ledger
        before = ledger.get(self._id)
        ledger.owe(self._id, "activity", _active_at(now()), claim=self.claim)
        session = ledger.get(self._id)
        if before is not None and session is not None:
            await self._engine.announce_update(before, session)


def _active_at(moment: datetime) -> Amendment:
    def amendment(session: Session) -> Session:
        return session.evolve(last_activity=max(moment, session.last_activity))

    return amendment


@cache
def _of(pid: int) -> Owner:
    return Owner(
        pid=pid, start_time=_start_time(), boot_id=_boot_id(), host=platform.node() or None
    )


def this_process() -> Owner:
    """Return the identity of this process."""
    return _of(os.getpid())


def _start_time() -> str | None:
    """Field 22 of ``/proc/self/stat``, see proc(5); the second may hold spaces and brackets."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
