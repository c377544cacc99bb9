"""A store that reaches a limit of the system, and what is stored after the limit is lifted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from frith.errors import CommitOutcomeUnknownError, CorruptStoreError, StoreError
from frith.model import Changes, Session, SessionId, Snapshot
from frith.ports import SessionStore
from frith_testing.harness.opening import Opening
from frith_testing.harness.samples import a_session

_LARGE = 32 << 10
"""Bytes that the write under the limit adds, so that several steps of the limit are reached."""

Sessions: TypeAlias = Mapping[SessionId, Session]


@dataclass(slots=True)
class LimitedRun:
    """The behaviour of one store at one limit."""

    refused: bool = False
    """Whether the write under the limit was refused, or its outcome unknown."""
    violations: list[str] = field(default_factory=list)

    def require(self, when: str, found: Sessions, possible: Sequence[Sessions]) -> None:
        """Record a violation if ``found`` is none of the possible states."""
        if found not in possible:
            counts = " or ".join(str(len(sessions)) for sessions in possible)
            self.violations.append(f"{when} {len(found)} other sessions are there, not {counts}")

    @contextmanager
    def attempt(self, what: str, *, limited: bool) -> Iterator[None]:
        """Record a violation if ``what`` fails, except for errors that a limit may cause."""
        try:
            yield
        except Exception as error:
            # A host would rebuild a store that is called corrupt.
            typed = isinstance(error, StoreError) and not isinstance(error, CorruptStoreError)
            if not (limited and typed):
                self.violations.append(f"{what} raised {type(error).__name__}: {error}")


async def store_something(opening: Opening) -> None:
    """Store the session that no limit may affect."""
    async with opening.open() as store:
        await store.transact(lambda _: Changes(put=(a_session(),)))


async def run_limited(
    opening: Opening, limiting: AbstractContextManager[None], warm: bool
) -> LimitedRun:
    """Write and read while ``limiting`` is entered, and again afterwards.

    Args:
        opening: opens a store with a session; afterwards it has just that session again.
        limiting: the limit.
        warm: whether the store has written before.
    """
    run, new = LimitedRun(), a_session(metadata={"filler": "x" * _LARGE})
    async with opening.open() as store:
        if warm:
            await store.transact(_putting_again)
        before = dict((await store.load()).sessions)
        with limiting:
            possible = await _write(store, new, before, run)
            for what, load in (("loading", store.load), ("loading anew", _loading(opening))):
                with run.attempt(what, limited=True):
                    run.require("under the limit", (await load()).sessions, possible)
        with run.attempt("loading without the limit", limited=False):
            run.require("without the limit", (await store.load()).sessions, possible)
        with run.attempt("the next write", limited=False):
            changes = Changes(put=(*before.values(),), delete=frozenset({new.id}))
            await store.transact(lambda _: changes)
    with run.attempt("loading in the end", limited=False):
        run.require("in the end", (await _loading(opening)()).sessions, [before])
    return run


async def _write(
    store: SessionStore, new: Session, before: Sessions, run: LimitedRun
) -> list[Sessions]:
    """Try to store ``new``; return the states that are possible then."""
    after = {**before, new.id: new}
    possible: list[Sessions] = [before]
    with run.attempt("the write", limited=True):
        try:
            await store.transact(lambda _: Changes(put=(new,)))
            possible = [after]
        except CommitOutcomeUnknownError:
            run.refused = True
            possible = [before, after]
        except Exception:
            run.refused = True
            raise
    return possible


def _loading(opening: Opening) -> Callable[[], Awaitable[Snapshot]]:
    async def load() -> Snapshot:
        async with opening.open() as store:
            snapshot: Snapshot = await store.load()
            return snapshot

    return load


def _putting_again(newest: Snapshot) -> Changes:
    return Changes(put=tuple(newest.sessions.values()))
