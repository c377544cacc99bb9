"""The engines of one open manager, which its flows share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

from anyio import Lock
from anyio.abc import TaskGroup

from frith._engine.claims import Claims
from frith._engine.hooks import Hooks
from frith._engine.ledger import Ledger
from frith._engine.markers import Markers
from frith._engine.open_providers import Providers
from frith._engine.processes import ProcessTable
from frith._engine.reactions import Reactions
from frith._engine.readers import Reader
from frith._engine.tasks import Task, Tasks
from frith.config import ManagerConfig
from frith.errors import SessionError
from frith.events import Cursor, SessionStatusChanged, SessionUpdated
from frith.model import Session, SessionId
from frith.plugins import Plugins
from frith.providers import Role

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")


class Engine:
    """Configuration and engines. Every flow takes one as its first argument."""

    def __init__(
        self,
        config: ManagerConfig,
        plugins: Plugins,
        task_group: TaskGroup,
        reactions: Callable[[Engine], Reactions],
    ) -> None:
        """Connect the engines; nothing runs yet.

        Args:
            config: the manager's configuration.
            plugins: the loaded plugins.
            task_group: from which every task is started.
            reactions: returns what the engines call.
        """
        self.config = config
        self.workspace = str(config.workspace)
        self.tasks = Tasks(task_group, plugins.logger)
        self.plugins = plugins
        self.providers = Providers(self.tasks, config, plugins)
        self.hooks = Hooks(plugins, config.hook_timeout)
        self.processes = ProcessTable(self.tasks)
        react = reactions(self)
        self.ledger = Ledger(self.providers, react)
        self.claims = Claims(self.tasks, self.providers, react)
        self.markers = Markers(self.tasks, self.providers, self.ledger)
        self.reserving = Lock()
        """Held while a creation chooses a name and reserves it."""
        self._locks: WeakValueDictionary[SessionId, Lock] = WeakValueDictionary()
        self._follower: Task | None = None

    async def call(
        self, flow: Callable[[Engine, *_Args], Coroutine[Any, Any, _T]], *args: *_Args
    ) -> _T:
        """Run a flow that closing the manager cancels; see :meth:`Tasks.call`."""
        with self.naming():
            return await self.tasks.call(flow, self, *args)

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Give an error of the block the name of its session, if no other session has it."""
        try:
            yield
        except SessionError as error:
            if error.session_id is not None:
                error.session_name = self.ledger.name_of(error.session_id)
            raise

    def exclusive(self, session_id: SessionId) -> Lock:
        """Return the lock that one flow of this manager at a time holds on a session."""
        return self._locks.setdefault(session_id, Lock())

    def follow(self) -> None:
        """Take over the changes of other processes from now on, as they happen."""
        if self._follower is None:
            self._follower = self.tasks.start(self.ledger.follow)

    @asynccontextmanager
    async def changes(self, since: Cursor | None) -> AsyncIterator[Reader]:
        """Yield a reader; see :meth:`frith.SessionManager.changes`."""
        self.follow()
        identity = await self.call(_identity_when_refreshed)
        reader = self.ledger.readers.open(identity, self.ledger.all(), since)
        try:
            yield reader
        finally:
            self.ledger.readers.close(reader)

    async def unfollow(self) -> None:
        """Stop taking over the changes of other processes."""
        if self._follower is not None:
            await self._follower.cancel()

    async def announce_status(self, before: Session, session: Session) -> None:
        """Call the hook for a changed status, if ``session`` has another one than ``before``."""
        if session.status != before.status:
            await self.hooks.notify(
                SessionStatusChanged(
                    workspace=self.workspace, session=session, previous=before.status
                )
            )

    async def announce_update(self, before: Session, session: Session) -> None:
        """Call the hook for a changed record, if ``session`` differs from ``before``."""
        if session != before:
            await self.hooks.notify(
                SessionUpdated(workspace=self.workspace, before=before, session=session)
            )


async def _identity_when_refreshed(engine: Engine) -> str:
    await engine.ledger.refresh()
    async with engine.providers.use(Role.STORE) as store:
        return store.identity
