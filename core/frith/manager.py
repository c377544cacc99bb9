"""The session manager: everything that a host does with sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

from pydantic import JsonValue

from frith import doctor, naming
from frith._engine.lifespan import close_engine, open_engine
from frith._flows.create import create
from frith._flows.destroy import destroy
from frith._flows.rebuild import rebuild
from frith._flows.reserve import CreateRequest
from frith._flows.respond import ManagerReactions
from frith._flows.restore import reload, start
from frith._flows.resume import resume
from frith._flows.stop import stop
from frith._flows.update import tell_status, update
from frith._immutable import frozen
from frith._reading import SessionReader
from frith.config import ManagerConfig
from frith.doctor import Finding
from frith.logs import logged_by
from frith.model import Session, SessionId, SessionStatus, now
from frith.plugins import PluginRecord
from frith.ports import Size


class _Unset:
    """The type of :data:`UNSET`."""


UNSET = _Unset()
"""Leave this as it is; ``None`` removes it."""


class SessionManager(SessionReader):
    """Creates, finds, changes and destroys the sessions of one workspace.

    Use it as an async context manager, on asyncio or trio. On leaving, it ends the processes that
    cannot outlive this one; their sessions become ``idle``.

    Args:
        config: the configuration.
        plugins: plugin objects of the host, by name; their hooks are called last.
        restore: reconcile every record at start: dead owners, unfinished creations, missing
            worktrees. Without it the sessions are only loaded, unless the
            stored state is missing or damaged. ``load_sessions`` does it later.
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

    async def __aenter__(self) -> Self:
        """Load the plugins, open the store and restore the sessions.

        Raises:
            ConfigurationError: an option of a plugin or provider is wrong.
            PluginError: the store's provider is missing, doubled or broken.
            StoreError: the stored state cannot be read, or was written by a newer version.
        """
        engine = await open_engine(self.config, self._own_plugins, ManagerReactions)
        try:
            with logged_by(engine.plugins.logger):
                await start(engine, restore=self._restore)
        except BaseException:
            await close_engine(engine)
            raise
        self._opened = engine
        return self

    async def __aexit__(self, *exception: object) -> None:
        """End what cannot outlive this process, store deferred changes, close the providers.

        Calls that other tasks have under way are cancelled and undone first.
        """
        engine, self._opened = self._opened, None
        if engine is not None:
            await close_engine(engine)

    @property
    def plugins(self) -> tuple[PluginRecord, ...]:
        """The installed plugins and those of the host, each with its state.

        Raises:
            ManagerClosedError: the manager is not open.
        """
        return tuple(self._engine.plugins.records)

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
            share: with ``existing``, share the worktree of the session that has the branch.
            start: whether to start the process; without, the session is ``idle``.
            env: variables for the process, in addition to the host's environment.
            size: of the terminal.
            current_phase: stored as it is.
            metadata: stored as it is; a JSON object.

        Raises:
            InvalidNameError, InvalidBranchError: the name or the branch cannot be used.
            SessionLimitError: the workspace is full.
            BranchTakenError, BranchBlockedError, BranchNotFoundError, BranchInUseError,
                BaseNotFoundError: the branch or its base is not as asked.
            SessionVetoed: a plugin refuses.
            VetoHookFailedError: a plugin that may veto failed, and the configuration says to
                refuse then.
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
        return await self._engine.call(create, request)

    async def update_session_status(
        self, session_id: SessionId, status: SessionStatus, *, message: str | None = None
    ) -> Session:
        """Report a status; durable on return.

        It holds until another one is reported, the process ends, or, if it is ``waiting``, the
        user has answered.

        Args:
            status: what it is doing.
            message: what the user is asked or told.

        Raises:
            SessionNotFoundError: there is no such session.
            StoreError: it could not be stored.
        """
        return await tell_status(self._engine, session_id, SessionStatus(status), message)

    async def update_last_activity(self, session_id: SessionId) -> Session:
        """Set the last activity to now; durable on return.

        Raises:
            SessionNotFoundError: there is no such session.
            StoreError: it could not be stored.
        """
        return await update(self._engine, session_id, {"last_activity": now()})

    async def update_session(
        self,
        session_id: SessionId,
        *,
        name: str | _Unset = UNSET,
        current_phase: str | _Unset | None = UNSET,
        metadata: Mapping[str, JsonValue] | _Unset | None = UNSET,
    ) -> Session:
        """Change the given fields; durable on return.

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
        return await self._engine.call(update, session_id, changes)

    async def stop_session(self, session_id: SessionId) -> Session:
        """End the process of a session; it becomes ``stopped``.

        If another process owns the session, that process is asked through the store.

        Raises:
            SessionNotFoundError: there is no such session.
            SessionOwnedError: its owner did not end it in time, or is unknown.
            StoreError: it could not be stored.
        """
        return await self._engine.call(stop, session_id)

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
            SessionRunningError: its process runs here, or has outlived its host.
            SessionOwnedError: another process owns it, or that cannot be excluded.
            WorktreeMissingError: its worktree is gone and so is its branch, or it was moved.
            WorktreeRedirectedError: its process would change files outside its worktree.
            WorkspaceError, SpawnError, StoreError: a step failed; the session is as before.
        """
        return await self._engine.call(resume, session_id, command, env, size)

    async def destroy_session(
        self, session_id: SessionId, cleanup: bool = False, *, force: bool = False
    ) -> None:
        """End the process of a session and remove its record; the branch always stays.

        Args:
            cleanup: remove its worktree too.
            force: remove it even if that destroys work that exists nowhere else.

        Raises:
            SessionNotFoundError: there is no such session.
            WorkAtStakeError: the worktree holds work, and ``force`` was not given.
            RemovalBlockedError: the worktree may not be removed, not even by force.
            SessionVetoed, VetoHookFailedError: a plugin refuses, or failed and may refuse.
            SessionOwnedError: its owner did not release it in time, or is unknown.
            WorkspaceError, StoreError: a step failed; the session still exists.
        """
        await self._engine.call(destroy, session_id, cleanup, force)

    async def load_sessions(self) -> tuple[Session, ...]:
        """Load the stored sessions, and reconcile them as at start.

        Raises:
            StoreError: it cannot be read.
        """
        return await self._engine.call(reload)

    async def save_sessions(self) -> None:
        """Store deferred changes now, which would be stored within a second.

        Raises:
            StoreError: it could not be stored; it will be tried again.
        """
        engine = self._engine
        await engine.tasks.call(engine.ledger.flush)

    async def rebuild_from_worktrees(self, *, dry_run: bool = False) -> tuple[Session, ...]:
        """Add and correct sessions by the markers in their worktrees.

        Args:
            dry_run: change nothing.

        Returns the sessions that were added or corrected, or would be.
        """
        return await self._engine.call(rebuild, dry_run)

    async def diagnose(self) -> tuple[Finding, ...]:
        """Compare record, worktrees, owners and markers; return the differences."""
        return await self._engine.call(doctor.diagnose)

    async def repair(self) -> tuple[Finding, ...]:
        """Repair what :meth:`diagnose` finds; return each finding with whether it is repaired."""
        return await self._engine.call(doctor.repair)
