"""The processes that this manager runs: starting, watching and ending them."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, auto

from anyio import CancelScope, Event, sleep

from frith._claims import Owned
from frith._identity import this_process
from frith._iterating import closing
from frith._ledger import COALESCE
from frith._owing import Amendment
from frith._parts import Parts
from frith._tasks import Task
from frith._watching import Watching, check_detector
from frith.errors import ClaimLostError, SessionNotFoundError, SpawnError
from frith.events import ProcessExited
from frith.logs import log
from frith.model import ExitStatus, Session, SessionStatus, Source, now
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
    parts: Parts, given: Sequence[str] | None, recorded: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return what to run: as given, else as recorded, else as configured, else the login shell.

    Raises:
        SpawnError: the command given is empty.
    """
    if given is not None:
        if not given:
            raise SpawnError((), "the command is empty")
        return tuple(given)
    return tuple(recorded or parts.config.command or (_login_shell(),))


def _login_shell() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except KeyError:  # in a container the user may have no entry
        return "/bin/sh"


async def spawn(
    parts: Parts, session: Session, env: Mapping[str, str] | None, size: Size
) -> Terminal:
    """Start the recorded command of ``session`` in its worktree.

    Raises:
        SpawnError: it cannot be started.
        PluginError: the status provider is missing, doubled or broken.
    """
    await check_detector(parts)
    request = SpawnRequest(
        session_id=session.id,
        command=session.details.command or (),
        cwd=session.worktree_path,
        workspace=parts.workspace,
        env=dict(env or {}),
        size=size,
    )
    async with parts.providers.use(Role.TERMINAL) as spawner:
        return await spawner.spawn(request)


def with_process(parts: Parts, session: Session, terminal: Terminal) -> Session:
    """Return ``session`` as it is while ``terminal`` runs its process."""
    running = session.evolve(pty_pid=terminal.pid, last_activity=now())
    return running.conclude(SessionStatus.ACTIVE, Source.PROCESS).detail(
        terminal=chosen_name(parts.config, Role.TERMINAL),
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
        self, parts: Parts, claim: Owned, terminal: Terminal, provider: str | None = None
    ) -> None:
        """Take charge of a process.

        Args:
            parts: the manager's.
            claim: the ownership of its session.
            terminal: the process.
            provider: name of the terminal provider that it comes from; the chosen one by default.
        """
        self._parts = parts
        self._provider = provider or chosen_name(parts.config, Role.TERMINAL)
        self._id = claim.session_id
        self._ending = Ending.ITSELF
        self._heirs = 0
        """How many want to go on owning the session."""
        self._gave_back = False
        self._recorded = Event()
        self._watching = Watching(parts, claim, terminal)
        self._tasks: list[Task] = []
        self._terminating: set[CancelScope] = set()
        self.claim = claim
        self.terminal = terminal

    def watch(self) -> None:
        """Watch the process from now on, in tasks of the manager's."""
        self._parts.running[self._id] = self
        self._parts.ended.pop(self._id, None)
        watches = (self._watch_exit, self._watch_output, self._watching.run)
        self._tasks = [self._parts.tasks.start(watch) for watch in watches]
        if self.claim.is_lost:  # since it was recorded
            self.lose()

    def lose(self) -> None:
        """Let go of the process, which another host may run by now.

        Nothing is ended, recorded or collected.
        """
        if self._parts.running.get(self._id) is self:
            del self._parts.running[self._id]
        for scope in self._terminating:
            scope.cancel()
        for task in self._tasks:
            task.end_soon()
        self.terminal.detach()
        self._recorded.set()

    @property
    def outlives_its_host(self) -> bool:
        """Whether the process runs on when this manager is closed."""
        return self._parts.providers.can(Role.TERMINAL, self._provider, Capability.ADOPT)

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
                self.claim = await self._parts.claims.take(self._id)
        except BaseException:
            self._heirs -= keep_claim
            if self._recorded.is_set() and not self._heirs:
                with CancelScope(shield=True):
                    await self._parts.claims.give_back(self.claim)
            raise

    async def _terminate(self) -> None:
        with CancelScope() as scope:
            self._terminating.add(scope)
            try:
                async with self._parts.providers.use(Role.TERMINAL, self._provider):
                    await self.terminal.terminate(self._parts.config.terminate_grace)
            finally:
                self._terminating.discard(scope)

    async def ended(self) -> None:
        """Wait until the process has ended and that is recorded."""
        await self._recorded.wait()

    async def _watch_exit(self) -> None:
        exit_status: ExitStatus | None = None
        try:
            async with self._parts.providers.use(Role.TERMINAL, self._provider):
                exit_status = await self.terminal.exited()
                await self.terminal.drained()
        except Exception as error:
            log.error("terminal_lost", session_id=self._id, reason=error)
        before = self._parts.ledger.get(self._id)
        session = await self._record(exit_status)
        if not self._heirs:
            self._gave_back = True
            await self._parts.claims.give_back(self.claim)
        if self._parts.running.get(self._id) is not self:
            return  # it is lost, and was let go of
        del self._parts.running[self._id]
        self._parts.ended[self._id] = self.terminal
        self._recorded.set()
        if session is not None and before is not None:
            await self._announce(before, session, exit_status)

    async def _announce(
        self, before: Session, session: Session, exit_status: ExitStatus | None
    ) -> None:
        parts = self._parts
        await parts.announce_status(before, session)
        if exit_status is not None:
            await parts.hooks.process_exited(
                ProcessExited(workspace=parts.workspace, session=session, exit=exit_status)
            )

    async def _record(self, exit_status: ExitStatus | None) -> Session | None:
        status, ref = self._status_after(exit_status), dict(self.terminal.ref)

        def amendment(session: Session) -> Session:
            if session.details.terminal_ref not in (None, ref):
                return session  # stored late: another process runs in it by now
            return without_process(session, status, exit_status)

        self._parts.ledger.forgive(self._id, "process")
        try:
            session = await self._parts.ledger.amend(self._id, amendment, claim=self.claim)
            self._parts.markers.write_later(self._id)
        except (SessionNotFoundError, ClaimLostError):
            return None
        except Exception as error:
            log.error("exit_not_stored", session_id=self._id, reason=error)
            self._parts.ledger.owe(self._id, "process", amendment, claim=self.claim)
            self._parts.uncollected[self._id] = self
            return self._parts.ledger.get(self._id)
        await self.collect()
        return session

    async def collect(self) -> None:
        """Tell the provider that the end is stored, so that it need not keep it any longer."""
        try:
            async with self._parts.providers.use(Role.TERMINAL, self._provider):
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
                self._parts.providers.use(Role.TERMINAL, self._provider),
                self.terminal.attach(mode=AttachMode.LOSSY) as attachment,
                closing(attachment) as output,
            ):
                async for _ in output:
                    await self._note_activity()
                    await sleep(COALESCE)
        except Exception as error:
            log.warning("activity_lost", session_id=self._id, reason=error)

    async def _note_activity(self) -> None:
        ledger = self._parts.ledger
        before = ledger.get(self._id)
        ledger.owe(self._id, "activity", _active_at(now()), claim=self.claim)
        session = ledger.get(self._id)
        if before is not None and session is not None:
            await self._parts.announce_update(before, session)


def _active_at(moment: datetime) -> Amendment:
    def amendment(session: Session) -> Session:
        return session.evolve(last_activity=max(moment, session.last_activity))

    return amendment
