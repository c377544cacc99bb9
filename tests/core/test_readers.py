"""The readers of changes, against a model: each sees every final state, in order, once."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
from hypothesis import given
from hypothesis import strategies as st

from frith._engine.readers import Reader, Readers
from frith.events import AllSessions, Cursor
from frith.model import Session, SessionId

from .world import a_session

SESSIONS = [a_session(name) for name in "abc"]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.integers(0, 2), st.sampled_from(["x", "y", None])),
        st.tuples(st.just("defer"), st.integers(0, 2), st.sampled_from(["x", "y"])),
        st.tuples(st.just("read"), st.integers(0, 2), st.integers(1, 3)),
        st.tuples(st.just("reopen"), st.integers(0, 2), st.none()),
    ),
    max_size=40,
)


@dataclass
class Seen:
    """A reader, and what it makes of the items."""

    reader: Reader
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    cursor: Cursor | None = None
    is_reopened: bool = False
    """Whether it went on from a cursor: then it may see again what it has seen already."""

    async def read(self) -> None:
        item = await anext(self.reader)
        assert self.cursor is None or item.cursor.revision >= self.cursor.revision
        self.cursor = item.cursor
        if isinstance(item, AllSessions):
            self.sessions = {session.id: session for session in item.sessions}
            return
        if not self.is_reopened:
            assert self.sessions.get(item.session.id) == item.before != item.after
        if item.after is None:
            self.sessions.pop(item.session.id, None)
        else:
            self.sessions[item.session.id] = item.after


@given(STEPS)
def test_every_reader_reaches_the_state_whenever_it_reads_or_reopens(
    steps: list[tuple[str, int, str | int | None]],
) -> None:
    anyio.run(_run, steps)


async def _run(steps: list[tuple[str, int, str | int | None]]) -> None:
    current: dict[SessionId, Session] = {}
    readers = Readers(current.get)
    everyone = [Seen(readers.open("s", ())) for _ in range(3)]
    revision = 0
    for step, number, value in steps:
        seen, session = everyone[number], SESSIONS[number]
        if step == "store" or (step == "defer" and session.id in current):
            before = current.get(session.id)
            if step == "store":
                revision += 1
                readers.at(revision)
            if value is None:
                current.pop(session.id, None)
            else:
                current[session.id] = session.evolve(current_phase=value)
            if before != current.get(session.id):
                readers.add(session.id, before, stored=step == "store")
        elif step == "read":
            for _ in range(int(value or 0)):
                if seen.reader.has_next:
                    await seen.read()
        elif step == "reopen" and seen.cursor is not None:
            readers.close(seen.reader)
            seen.is_reopened = True
            seen.reader = readers.open("s", tuple(current.values()), seen.cursor)
    for seen in everyone:
        while seen.reader.has_next:
            await seen.read()
        assert seen.sessions == current
