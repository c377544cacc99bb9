"""What the flows of a manager share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from anyio import Lock

from frith._engine.claims import Claims
from frith._engine.hooks import Hooks
from frith._engine.ledger import Ledger
from frith._engine.markers import Markers
from frith._engine.open_providers import Providers
from frith._engine.tasks import Calls, Task, Tasks
from frith.config import ManagerConfig
from frith.errors import SessionError
from frith.events import SessionStatusChanged, SessionUpdated
from frith.logs import log
from frith.model import Session, SessionId
from frith.ports import Terminal

if TYPE_CHECKING:
    from frith._engine.processes import Running


_T = TypeVar("_T")


@dataclass(slots=True)
class Engine:
    """The parts of one open manager."""

    config: ManagerConfig
    tasks: Tasks
    providers: Providers
    hooks: Hooks
    ledger: Ledger
    claims: Claims
    markers: Markers
    calls: Calls
    is_bound: bool = False
    """Whether the workspace is known to be bound to the configured store."""
    running: dict[SessionId, Running] = field(default_factory=dict)
    """The sessions whose process this manager runs."""
    ended: dict[SessionId, Terminal] = field(default_factory=dict)
    """The terminals of those whose process has ended here, for who comes late to look."""
    uncollected: dict[SessionId, Running] = field(default_factory=dict)
    """Whose process has ended, and whose end the store does not have yet."""
    awaited: dict[SessionId, Task] = field(default_factory=dict)
    """What waits to take over the process of a session when its host goes away."""
    admission: Lock = field(default_factory=Lock)
    """Held while a creation chooses its name and reserves its place."""
    _busy: WeakValueDictionary[SessionId, Lock] = field(default_factory=WeakValueDictionary)

    _follower: Task | None = None

    @property
    def workspace(self) -> str:
        """Absolute path of the workspace."""
        return str(self.config.workspace)

    def mine(self, session_id: SessionId) -> Running | None:
        """Return what runs the process of a session, if this manager does and owns it."""
        running = self.running.get(session_id)
        return running if running is not None and not running.claim.is_lost else None

    async def call(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Make a call of several steps, which closing ends; see :meth:`Calls.make`."""
        with self.naming():
            return await self.calls.make(function)

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Let an error of the block name its session, if that has a name of its own."""
        try:
            yield
        except SessionError as error:
            if error.session_id is not None:
                error.session_name = self.ledger.name_of(error.session_id)
            raise

    def follow(self) -> None:
        """Take over from now on what other processes change, as it happens."""
        if self._follower is None:
            self._follower = self.tasks.start(self._follow)

    async def unfollow(self) -> None:
        """Look no more for what other processes change."""
        if self._follower is not None:
            await self._follower.cancel()

    async def _follow(self) -> None:
        try:
            await self.ledger.follow()
        except Exception as error:
            self._follower = None
            log.error("following_failed", reason=error)

    async def announce_status(self, before: Session, session: Session) -> None:
        """Tell the plugins if the status of ``session`` is another than ``before``."""
        if session.status != before.status:
            await self.hooks.session_status_changed(
                SessionStatusChanged(
                    workspace=self.workspace, session=session, previous=before.status
                )
            )

    async def announce_update(self, before: Session, session: Session) -> None:
        """Tell the plugins if ``session`` is not as ``before``, its status aside."""
        if session != before:
            await self.hooks.session_updated(
                SessionUpdated(workspace=self.workspace, before=before, session=session)
            )

    @asynccontextmanager
    async def alone(self, session_id: SessionId) -> AsyncIterator[None]:
        """Keep other operations of this manager on the same session waiting."""
        lock = self._busy.get(session_id)
        if lock is None:
            lock = self._busy[session_id] = Lock()
        async with lock:
            yield
