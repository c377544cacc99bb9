"""The façade: everything a host does with sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self

from pydantic import JsonValue

from frith import doctor, naming
from frith._engine.context import Engine
from frith._engine.lifespan import Lifespan
from frith._flows import rebuild, start, terminals, update
from frith._flows.create import create
from frith._flows.destroy import destroy, inspect
from frith._flows.reserve import CreateRequest
from frith._flows.respond import ManagerReactions
from frith._flows.resume import resume
from frith._flows.stop import stop
from frith._flows.wait_ended import wait_ended
from frith._frozen import frozen
from frith.config import ManagerConfig
from frith.doctor import Finding
from frith.errors import ManagerClosedError
from frith.model import AtStake, Session, SessionId, SessionStatus, now
from frith.plugins import PluginRecord
from frith.ports import Holder, Size, Terminal


class _Unset:
    """Stands for "leave it as it is", where ``None`` means "take it away"."""


UNSET = _Unset()
"""Leave this as it is."""


class SessionManager:
    """Creates, finds, changes and destroys the sessions of one workspace.

    Use it as an async context manager, on asyncio or trio. On leaving, the processes that cannot
    outlive this one are ended and their sessions become ``idle``.

    Args:
        config: how to work.
        plugins: plugin objects of the host's own, by name; their hooks are called last.
        restore: bring every record in line with the world at start: dead owners, unfinished
            creations, vanished worktrees. Without it the sessions are only looked at, unless
            the stored state is missing or damaged. ``load_sessions`` does it later.
    """

    def __init__(
        self,
        config: ManagerConfig,
        *,
        plugins: Mapping[str, object] = MappingProxyType({}),
        restore: bool = True,
    ) -> None:
        self.config = config
        self._own_plugins = dict(plugins)
        self._restore = restore
        self._lifespan: Lifespan | None = None

    async def __aenter__(self) -> Self:
        """Load the plugins, open the store and restore the sessions.

        Raises:
            ConfigurationError: an option of a plugin or provider is wrong.
            PluginError: the store's provider is missing, doubled or broken.
            StoreError: the stored state cannot be read, or was written by a newer version.
        """
        lifespan = await Lifespan.open(self.config, self._own_plugins, ManagerReactions)
        try:
            await start.start(lifespan.engine, restore=self._restore)
        except BaseException:
            await lifespan.close()
            raise
        self._lifespan = lifespan
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what cannot outlive this process, store what is owed, close the providers.

        Calls that other tasks have under way are cancelled, and undone, first.
        """
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.close()

    @property
    def _engine(self) -> Engine:
        if self._lifespan is None:
            raise ManagerClosedError
        return self._lifespan.engine

    @property
    def plugins(self) -> tuple[PluginRecord, ...]:
        """What became of every plugin.

        Raises:
            ManagerClosedError: the manager is not open.
        """
        if self._lifespan is None:
            raise ManagerClosedError
        return self._lifespan.plugins

    async def create_session(
        self,
        name: str | None = None,
        branch: str | None = None,
        *,
        command: Sequence[str] | None = None,
        base: str | None = None,
        existing: bool = False,
        share: bool = False,
        start: bool = True,
        env: Mapping[str, str] | None = None,
        size: Size = Size(),
        current_phase: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> Session:
        """Create a session: a worktree on a branch, a process in it, a durable record.

        A failure or a cancellation at any step undoes all earlier ones.

        Args:
            name: 1 to 50 letters, digits and hyphens; generated if ``None`` or empty.
            branch: ``feature/{name}`` if ``None`` or empty.
            command: argument vector; the configured one, else the login shell, if ``None``.
            base: where a new branch starts; the workspace's HEAD if ``None``.
            existing: use ``branch`` as it exists instead of creating it.
            share: with ``existing``, share the worktree of the session that holds the branch.
            start: whether to start the process; without, the session is ``idle``.
            env: variables for the process, beside the host's own environment.
            size: of the terminal.
            current_phase: recorded as it is.
            metadata: recorded as it is; a JSON object.

        Raises:
            InvalidNameError, InvalidBranchError: the name or the branch cannot be used.
            SessionLimitError: the workspace is full.
            BranchTakenError, BranchBlockedError, BranchNotFoundError, BranchInUseError,
                BaseNotFoundError: the branch or its base is not as asked.
            SessionVetoed: a plugin refuses.
            VetoHookFailedError: a plugin broke that might have refused, and the configuration
                says to refuse then.
            WorkspaceError, SpawnError, StoreError, PluginError: a step failed.
        """
        request = CreateRequest(
            name=name,
            branch=branch,
            command=command,
            base=base,
            existing=existing,
            share=share,
            start=start,
            env=env,
            size=size,
            current_phase=current_phase,
            metadata=frozen(metadata),
        )
        engine = self._engine
        return await engine.call(lambda: create(engine, request))

    def get_session(self, session_id: SessionId) -> Session | None:
        """Return the session as last known here, ``None`` if there is none. Never waits."""
        return self._engine.ledger.get(session_id)

    def get_all_sessions(self) -> tuple[Session, ...]:
        """Return all sessions as last known here. Never waits."""
        return self._engine.ledger.all()

    async def update_session_status(
        self, session_id: SessionId, status: SessionStatus, *, message: str | None = None
    ) -> Session:
        """Set the status, as told by whoever knows better; durable on return.

        It holds until something else is told, the process ends, or, if it says that the session
        waits for the user, until it is seen that the user has answered.

        Args:
            session_id: which.
            status: what the session is doing.
            message: what the user is asked or told.

        Raises:
            SessionNotFoundError: there is no such session.
            StoreError: it could not be stored.
        """
        status = SessionStatus(status)
        return await update.tell_status(self._engine, session_id, status, message)

    def follow_changes(self) -> None:
        """Take over from now on what other processes change, as it happens.

        A manager that restores, or starts a process, does so anyway. Hooks are told of each
        change: ``frith_session_changed_elsewhere``.
        """
        self._engine.follow()

    async def update_last_activity(self, session_id: SessionId) -> Session:
        """Set the last activity to now; durable on return.

        Raises:
            SessionNotFoundError: there is no such session.
            StoreError: it could not be stored.
        """
        return await update.update(self._engine, session_id, last_activity=now())

    async def update_session(
        self,
        session_id: SessionId,
        *,
        name: str | _Unset = UNSET,
        current_phase: str | _Unset | None = UNSET,
        metadata: Mapping[str, JsonValue] | _Unset | None = UNSET,
    ) -> Session:
        """Change what is given; durable on return.

        Raises:
            InvalidNameError: the name cannot be used.
            SessionNotFoundError: there is no such session.
            StoreError: it could not be stored.
        """
        changes: dict[str, Any] = {}
        if not isinstance(name, _Unset):
            changes["name"] = naming.check_name(name)
        if not isinstance(current_phase, _Unset):
            changes["current_phase"] = current_phase
        if not isinstance(metadata, _Unset):
            changes["metadata"] = frozen(metadata)
        engine = self._engine
        return await engine.call(lambda: update.update(engine, session_id, **changes))

    async def stop_session(self, session_id: SessionId) -> Session:
        """End the process of a session; it becomes ``stopped``.

        If another process owns it, that one is asked through the store.

        Raises:
            SessionNotFoundError: there is no such session.
            SessionOwnedError: its owner did not do it in time, or cannot be told.
            StoreError: it could not be stored.
        """
        engine = self._engine
        return await engine.call(lambda: stop(engine, session_id))

    async def resume_session(
        self,
        session_id: SessionId,
        *,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        size: Size = Size(),
    ) -> Session:
        """Start a new process for a session that has none; its last command if none is given.

        A missing worktree is re-created from the session's branch first.

        Raises:
            SessionNotFoundError: there is no such session.
            SessionRunningError: its process runs here, or runs on without a host.
            SessionOwnedError: another living process owns it, or that cannot be excluded.
            WorktreeMissingError: its worktree is gone and so is its branch, or it was moved.
            WorktreeRedirectedError: its process would change files outside its worktree.
            WorkspaceError, SpawnError, StoreError: a step failed; the session is as before.
        """
        engine = self._engine
        return await engine.call(lambda: resume(engine, session_id, command, env, size))

    async def destroy_session(
        self, session_id: SessionId, cleanup: bool = False, *, force: bool = False
    ) -> None:
        """End the process of a session and remove its record; the branch always stays.

        Args:
            session_id: which.
            cleanup: remove its worktree too.
            force: even if that destroys work that exists nowhere else.

        Raises:
            SessionNotFoundError: there is no such session.
            WorkAtStakeError: the worktree holds work, and ``force`` was not given.
            RemovalBlockedError: the worktree may not be removed, not even by force.
            SessionVetoed, VetoHookFailedError: a plugin refuses, or broke and might have.
            SessionOwnedError: its owner did not let go in time, or cannot be told.
            WorkspaceError, StoreError: a step failed; the session still exists.
        """
        engine = self._engine
        await engine.call(lambda: destroy(engine, session_id, cleanup=cleanup, force=force))

    async def inspect_session(self, session_id: SessionId) -> AtStake:
        """Tell what destroying the session with ``cleanup`` would destroy.

        Raises:
            SessionNotFoundError: there is no such session.
            WorkspaceError: it cannot be told.
        """
        return await inspect(self._engine, await self._engine.ledger.need(session_id))

    def terminal(self, session_id: SessionId) -> Terminal:
        """Return the terminal of a session whose process this manager runs.

        Also after the process has ended, until another one runs in the session.

        Raises:
            SessionNotRunningError: this manager does not run it; :meth:`open_terminal` may open
                that of another host.
        """
        engine = self._engine
        with engine.naming():
            return terminals.terminal(engine, session_id)

    async def open_terminal(self, session_id: SessionId, *, ended: bool = False) -> Terminal:
        """Return the terminal of a running session, whichever host runs it.

        The terminal of another host's process needs a terminal provider whose processes outlive
        their host; several hosts may use it.

        Args:
            session_id: which.
            ended: also if the process has ended, as far as its output is kept: by the provider, or
                by this manager if it ran the process.

        Raises:
            SessionNotFoundError: there is no such session.
            SessionNotRunningError: it is not running, or another host alone can show it.
            TerminalError: it cannot be reached.
        """
        engine = self._engine
        with engine.naming():
            return await terminals.open_terminal(engine, session_id, ended=ended)

    async def wait_ended(self, session_id: SessionId) -> Session:
        """Wait until the process of a session has ended, whichever host runs it.

        If its host dies, this manager goes on with the process, where that outlives its host;
        otherwise the session is ``idle``. Returns the session as recorded then; at once if it is
        not running.

        Raises:
            SessionNotFoundError: there is no such session, or it was destroyed meanwhile.
            StoreError: the sessions cannot be read.
        """
        engine = self._engine
        return await engine.call(lambda: wait_ended(engine, session_id))

    async def holder(self, session_id: SessionId) -> Holder:
        """Tell whether a living process, this one included, owns the session."""
        return await self._engine.claims.holder(session_id)

    async def load_sessions(self) -> tuple[Session, ...]:
        """Take over what is stored, and bring it in line with the world as at start.

        Raises:
            StoreError: it cannot be read.
        """
        engine = self._engine
        return await engine.call(lambda: start.reload(engine))

    async def save_sessions(self) -> None:
        """Store now what would be stored within the next second.

        Raises:
            StoreError: it could not be stored; it will be tried again.
        """
        await self._engine.ledger.flush()

    async def rebuild_from_worktrees(self, *, dry_run: bool = False) -> tuple[Session, ...]:
        """Add and correct sessions as their worktrees remember them.

        Args:
            dry_run: change nothing.

        Returns the sessions that were added or corrected, or would be.
        """
        engine = self._engine
        return await engine.call(lambda: rebuild.rebuild(engine, dry_run=dry_run))

    async def diagnose(self) -> tuple[Finding, ...]:
        """Compare record, worktrees, owners and markers; return what is not as it should be."""
        return await doctor.diagnose(self._engine)

    async def repair(self) -> tuple[Finding, ...]:
        """Mend what :meth:`diagnose` finds; return the findings, each with whether it is mended."""
        engine = self._engine
        return await engine.call(lambda: doctor.repair(engine))
