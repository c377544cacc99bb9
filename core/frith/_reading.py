"""Looking at the sessions of an open manager: records, changes, terminals, worktrees."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager

from frith._engine.context import Engine
from frith._flows.destroy import inspect
from frith._flows.differences import branches, changed_files, diff
from frith._flows.stop import wait_ended
from frith._flows.terminals import open_terminal, terminal
from frith._flows.view import view
from frith.errors import ManagerClosedError
from frith.events import ChangeReader, Cursor
from frith.model import AtStake, Session, SessionId
from frith.ports import AttachMode, Branch, ChangedFile, Diff, DiffScope, Holder, Size, Terminal
from frith.views import View


class SessionReader:
    """The methods of :class:`~frith.SessionManager` that change no session."""

    _opened: Engine | None = None

    @property
    def _engine(self) -> Engine:
        if self._opened is None:
            raise ManagerClosedError
        return self._opened

    def get_session(self, session_id: SessionId) -> Session | None:
        """Return the session from memory, ``None`` if there is none."""
        return self._engine.ledger.get(session_id)

    def get_all_sessions(self) -> tuple[Session, ...]:
        """Return all sessions from memory."""
        return self._engine.ledger.all()

    def changes(self, since: Cursor | None = None) -> AbstractAsyncContextManager[ChangeReader]:
        """Read all sessions, then every change, whoever makes it: here or in another process.

        A slow reader misses no final state: several changes of one session are one. The iteration
        ends when the manager closes.

        Args:
            since: the cursor of the last item of an earlier reader. If what has changed since is
                still known, it comes instead of all sessions.

        Raises:
            StoreError: the sessions cannot be read.
        """
        return self._engine.changes(since)

    async def inspect_session(self, session_id: SessionId) -> AtStake:
        """Return what destroying the session with ``cleanup`` would destroy.

        Raises:
            SessionNotFoundError: there is no such session.
            WorkspaceError: the worktree cannot be inspected.
        """
        return await self._engine.call(inspect, session_id)

    async def changed_files(
        self, session_id: SessionId, scope: DiffScope = DiffScope.BRANCH
    ) -> tuple[ChangedFile, ...]:
        """Return what has changed in the worktree; see ``WorkspaceProvider.changed_files``."""
        return await self._engine.call(changed_files, session_id, DiffScope(scope))

    async def diff(
        self,
        session_id: SessionId,
        scope: DiffScope = DiffScope.BRANCH,
        *,
        paths: Collection[str] = (),
        limit: int = 1 << 20,
    ) -> Diff:
        """Return a diff of what has changed in the worktree; see ``WorkspaceProvider.diff``."""
        return await self._engine.call(diff, session_id, DiffScope(scope), paths, limit)

    async def branches(self) -> tuple[Branch, ...]:
        """Return the local branches of the workspace; see ``WorkspaceProvider.branches``."""
        return await self._engine.call(branches)

    def terminal(self, session_id: SessionId) -> Terminal:
        """Return the terminal of a session whose process this manager runs.

        Also after the process has ended, until the session has another one.

        Raises:
            SessionNotRunningError: this manager does not run it; :meth:`open_terminal` may open
                the terminal of another host.
        """
        with self._engine.naming():
            return terminal(self._engine, session_id)

    async def open_terminal(self, session_id: SessionId, *, ended: bool = False) -> Terminal:
        """Return the terminal of a running session, whichever host runs it.

        The terminal of another host's process needs a terminal provider whose processes outlive
        their host; several hosts may use it.

        Args:
            session_id: the session.
            ended: also if the process has ended, as far as its output is kept: by the provider, or
                by this manager if it ran the process.

        Raises:
            SessionNotFoundError: there is no such session.
            SessionNotRunningError: it is not running, or only another host can show it.
            TerminalError: it cannot be reached.
        """
        return await self._engine.call(open_terminal, session_id, ended)

    def view(
        self,
        session_id: SessionId,
        viewer: str | None = None,
        size: Size | None = None,
        *,
        read_only: bool = False,
        mode: AttachMode = AttachMode.LOSSY,
        ended: bool = False,
        scrollback: bool = False,
    ) -> AbstractAsyncContextManager[View]:
        """View the terminal of a session, opened as by :meth:`open_terminal`, until left.

        Args:
            session_id: the session.
            viewer: a name that no other viewer of the session has; generated if ``None``.
            size: of the viewer's window; the process gets it. ``None`` takes that of the process.
            read_only: send the process neither input nor the size.
            mode: what happens if this viewer is slower than the output.
            ended: also if the process has ended; see :meth:`open_terminal`.
            scrollback: begin with the output that is kept, in place of the screen.
        """
        return view(self._engine, session_id, viewer, size, read_only, mode, ended, scrollback)

    async def wait_ended(self, session_id: SessionId) -> Session:
        """Wait until the process of a session has ended, and return the session as recorded then.

        Whichever host runs it. If that host dies, this manager takes over the process, where it
        outlives its host; otherwise the session becomes ``idle``.

        Raises:
            SessionNotFoundError: there is no such session, or it was destroyed meanwhile.
            StoreError: the sessions cannot be read.
        """
        return await self._engine.call(wait_ended, session_id)

    async def holder(self, session_id: SessionId) -> Holder:
        """Return whether a process, this one included, owns the session."""
        engine = self._engine
        return await engine.tasks.call(engine.claims.holder, session_id)
