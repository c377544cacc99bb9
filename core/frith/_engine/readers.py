"""The readers of changes. A slow one costs one pending change for each session."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from anyio import Event
from anyio.lowlevel import checkpoint

from frith.events import AllSessions, ChangeReader, Cursor, SessionChange
from frith.model import Session, SessionId

REMEMBERED = 1024
"""Changes that are remembered, for readers that go on from a cursor."""


@dataclass(frozen=True, slots=True)
class Past:
    """The record of a session before a change."""

    revision: int
    """Revision of the store with the change, or that it will have at least."""
    session_id: SessionId
    before: Session | None


class Readers:
    """The readers of one ledger, and its last changes."""

    def __init__(self, current: Callable[[SessionId], Session | None]) -> None:
        """Answer readers by ``current``, which returns a session as it is now."""
        self.current = current
        self._readers: set[Reader] = set()
        self._past: deque[Past] = deque()
        self._latest: dict[SessionId, int] = {}
        """The revision of the last remembered change of each session."""
        self._since = 0
        """All changes after this revision are remembered."""
        self.revision = 0
        """The newest known revision of the store."""
        self.is_closed = False
        """Whether no more changes will come."""

    def at(self, revision: int) -> None:
        """Record the revision of the state that is known now.

        A lower one than before means that the store was replaced, and no cursor is valid any more.
        """
        if revision < self.revision:
            self.restart(revision)
        self.revision = revision

    def restart(self, revision: int) -> None:
        """Forget the past: a reader can go on from ``revision`` at the earliest."""
        self._past.clear()
        self._latest.clear()
        self.revision = self._since = revision

    def add(self, session_id: SessionId, before: Session | None, *, stored: bool) -> None:
        """Tell the readers that a session is no longer as it was ``before``.

        Args:
            session_id: the session.
            before: its record before the change.
            stored: whether the store has the change; else it has it with its next revision.
        """
        self._remember(Past(self.revision + (not stored), session_id, before))
        for reader in self._readers:
            reader.add(session_id, before)

    def _remember(self, past: Past) -> None:
        if self._latest.get(past.session_id) == past.revision:
            return  # the state before that is remembered
        self._latest[past.session_id] = past.revision
        self._past.append(past)
        if len(self._past) > REMEMBERED:
            oldest = self._past.popleft()
            self._since = max(self._since, oldest.revision)
            if self._latest[oldest.session_id] == oldest.revision:
                del self._latest[oldest.session_id]

    def open(
        self, store: str, sessions: tuple[Session, ...], since: Cursor | None = None
    ) -> Reader:
        """Return a new reader; :meth:`close` must follow.

        Args:
            store: identity of the store.
            sessions: all sessions now.
            since: where an earlier reader was. What has changed since then is pending if it is
                remembered; otherwise the first item is :class:`AllSessions`.
        """
        reader = Reader(self, store)
        if since is None or since.store != store or not self._remembers(since.revision):
            reader.sessions = sessions
        else:
            reader.go_on(since.revision, self._past)
        self._readers.add(reader)
        return reader

    def _remembers(self, revision: int) -> bool:
        return self._since <= revision <= self.revision

    def close(self, reader: Reader) -> None:
        """Forget a reader."""
        self._readers.discard(reader)

    def end(self) -> None:
        """Let the readers end once they have read what is pending."""
        self.is_closed = True
        for reader in self._readers:
            reader.wake()


class Reader(ChangeReader):
    """The position of one reader: what it has yet to see."""

    def __init__(self, readers: Readers, store: str) -> None:
        """Read nothing yet; see :meth:`Readers.open`."""
        self.sessions: tuple[Session, ...] | None = None
        """Yielded first, unless it is ``None``."""
        self.revision = readers.revision
        """The revision up to which everything was yielded."""
        self._readers = readers
        self._store = store
        self._pending: dict[SessionId, Session | None] = {}
        """The sessions that have changed, as they were when they were yielded last."""
        self._again: dict[SessionId, Session | None] = {}
        """Those of them that an earlier reader may have seen already, as they were last before."""
        self._news = Event()

    def go_on(self, revision: int, past: Iterable[Past]) -> None:
        """Let what was changed after ``revision`` be pending.

        The earlier reader may have seen some of it already, if more was pending when it got the
        cursor. So each of these sessions is yielded, even if it is again as it was.
        """
        self.revision = revision
        for each in past:
            if each.revision > revision:
                self._again.setdefault(each.session_id, None)
                self.add(each.session_id, each.before)

    def add(self, session_id: SessionId, before: Session | None) -> None:
        """Let a change be pending, together with an earlier one of the same session."""
        seen = self._pending.setdefault(session_id, before)
        if session_id in self._again:
            self._again[session_id] = before or self._again[session_id]
        elif seen == self._readers.current(session_id):
            del self._pending[session_id]  # it was created and destroyed, for example
        self.wake()

    def wake(self) -> None:
        """Look for news."""
        self._news.set()

    @property
    def has_next(self) -> bool:
        """Whether the next item is there already."""
        return bool(self._pending) or self.sessions is not None

    def __aiter__(self) -> Reader:
        """Return itself: what has been yielded is not yielded again."""
        return self

    async def __anext__(self) -> AllSessions | SessionChange:
        """Return the next change, as it is by now."""
        await checkpoint()
        while True:
            if (sessions := self.sessions) is not None:
                self.sessions = None
                return AllSessions(sessions, self._cursor())
            if self._pending:
                session_id = next(iter(self._pending))
                before, last = self._pending.pop(session_id), self._again.pop(session_id, None)
                after = self._readers.current(session_id)
                before = before or (last if after is None else None)
                return SessionChange(before, after, self._cursor())
            self.revision = self._readers.revision
            if self._readers.is_closed:
                raise StopAsyncIteration
            self._news = Event()
            await self._news.wait()

    def _cursor(self) -> Cursor:
        if not self._pending:
            self.revision = self._readers.revision
        return Cursor(self._store, self.revision)
