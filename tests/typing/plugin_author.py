"""What the author of a plugin writes, as mypy --strict sees it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TextIO, assert_type

from anyio import CapacityLimiter

from frith.config import ManagerConfig, Options
from frith.errors import SessionVetoed
from frith.events import ProcessExited, SessionCreated, SessionCreating
from frith.hookspecs import hookimpl
from frith.model import Changes, ExitStatus, Session, SessionId, Snapshot
from frith.ports import Claim, Committed, Holder, SessionStore, Transaction
from frith.providers import Capability, ProviderContext, ProviderSpec, Role


class CountingOptions(Options):
    inner: str = "json"


class CountingStore(SessionStore):
    """Counts the transactions of the store that it wraps."""

    def __init__(self, inner: SessionStore) -> None:
        self._inner = inner
        self.transactions = 0

    @property
    def identity(self) -> str:
        return self._inner.identity

    async def load(self) -> Snapshot:
        return await self._inner.load()

    async def transact(self, fn: Transaction) -> Committed:
        self.transactions += 1
        return await self._inner.transact(fn)

    async def replace_corrupt(self, token: str, snapshot: Snapshot) -> Committed:
        return await self._inner.replace_corrupt(token, snapshot)

    def claim(self, session_id: SessionId) -> AbstractAsyncContextManager[Claim]:
        return self._inner.claim(session_id)

    async def holder(self, session_id: SessionId) -> Holder:
        return await self._inner.holder(session_id)


@asynccontextmanager
async def counting_store(
    options: CountingOptions, context: ProviderContext
) -> AsyncIterator[SessionStore]:
    assert_type(context.workspace, Path)
    assert_type(context.limiter, CapacityLimiter)
    async with context.open(Role.STORE, options.inner) as inner:
        yield CountingStore(inner)


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    yield ProviderSpec(
        Role.STORE,
        "counting",
        counting_store,
        config=CountingOptions,
        capabilities=frozenset({Capability.WATCH, Capability.MULTI_PROCESS}),
    )


class Counted:
    def __init__(self, file: TextIO) -> None:
        self.file = file

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        assert_type(event.session, Session)

    @hookimpl
    def frith_logger(self) -> logging.Logger:
        return logging.Logger("frith")


@hookimpl
@contextmanager
def frith_configure(config: ManagerConfig) -> Iterator[Counted]:
    assert_type(config.plugin_options("counting", CountingOptions), CountingOptions)
    with Path("counted").open("a") as file:
        yield Counted(file)


@hookimpl
async def frith_session_creating(event: SessionCreating) -> None:
    assert_type(event.name, str | None)
    if event.name is None:
        raise SessionVetoed("a session needs a name here")


@hookimpl
async def frith_process_exited(event: ProcessExited) -> None:
    assert_type(event.session, Session)
    assert_type(event.exit, ExitStatus)
    assert_type(event.exit.code, int | None)


async def use(store: SessionStore, session: Session) -> None:
    def rename(snapshot: Snapshot) -> Changes:
        assert_type(snapshot.sessions, Mapping[str, Session])
        return Changes(put=(snapshot.sessions[session.id].evolve(name="renamed"),))

    committed = await store.transact(rename)
    assert_type(committed.snapshot, Snapshot)
    assert_type(await store.holder(session.id), Holder)
    async with store.claim(session.id) as claim:
        assert_type(claim.fence, int)
    async for changed in store.watch():
        assert_type(changed, frozenset[str])
