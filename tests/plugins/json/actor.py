"""A second process: ``actor.py WORKSPACE WHAT …``; see the functions below."""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path
from uuid import uuid4

import anyio

from frith.errors import ClaimHeldError, CorruptStoreError, StoreError
from frith.model import Changes, Integrity, Session, SessionStatus, Snapshot, now
from frith_json.options import JsonOptions
from frith_json.store import JsonStore


def ready() -> None:
    print("ready", flush=True)


def until_told() -> bool:
    """Wait for a line; false if none will come."""
    return bool(sys.stdin.readline())


def session(name: str, size: int = 0) -> Session:
    return Session(
        id=str(uuid4()),
        name=name,
        status=SessionStatus.IDLE,
        branch=name,
        worktree_path="/",
        created_at=now(),
        last_activity=now(),
        metadata={"filler": "x" * size},
    )


async def hold_lock(store: JsonStore) -> None:
    """Hold the writers' lock until told."""

    def hold(_: Snapshot) -> Changes:
        ready()
        until_told()
        return Changes()

    await store.transact(hold)


async def hold_claim(store: JsonStore, session_id: str) -> None:
    """Hold a claim until told."""
    async with store.claim(session_id):
        ready()
        await anyio.to_thread.run_sync(until_told)


async def remove(store: JsonStore, session_id: str) -> None:
    """Remove a session when told, as its owner."""
    ready()
    until_told()
    async with store.claim(session_id):
        await store.transact(lambda _: Changes(delete=frozenset({session_id})))


async def compete(store: JsonStore, session_id: str) -> None:
    """Claim at the same moment as others; say ``won`` and hold it, or ``lost``."""
    ready()
    until_told()
    try:
        async with store.claim(session_id):
            print("won", flush=True)
            until_told()
    except ClaimHeldError as error:
        print(f"lost {error.certain}", flush=True)


async def increment(store: JsonStore, session_id: str, times: str) -> None:
    """Add one to the counter of a session, again and again."""

    def one_more(snapshot: Snapshot) -> Changes:
        before = snapshot.sessions[session_id]
        count = (before.metadata or {}).get("count", 0)
        assert isinstance(count, int)
        return Changes(put=(before.evolve(metadata={"count": count + 1}),))

    for _ in range(int(times)):
        await store.transact(one_more)


async def add(store: JsonStore, name: str, times: str = "1") -> None:
    """Add sessions, one at a time, and say when each is durable."""
    for _ in range(int(times)):
        await store.transact(lambda _: Changes(put=(session(name),)))
        ready()


async def repair(store: JsonStore, session_id: str, name: str) -> None:
    """Each time when told: find the store lost, be told again, repair it; say what is stored."""
    mine = session(name).evolve(id=session_id)

    def unless_stored(found: Snapshot) -> Changes:
        return Changes(put=(mine,)) if found.integrity is Integrity.MISSING else Changes()

    ready()
    while until_told():
        token = ""
        try:
            await store.load()
        except CorruptStoreError as error:
            token = error.token
        ready()
        until_told()
        if token:
            committed = await store.replace_corrupt(token, Snapshot({session_id: mine}))
        else:
            committed = await store.transact(unless_stored)
        print(*(found.name for found in committed.snapshot.sessions.values()), flush=True)


async def outgrow(store: JsonStore) -> None:
    """Write more than this process may."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        await store.transact(lambda _: Changes(put=(session("big", 8192),)))
    except StoreError as error:
        print(type(error).__name__, error.code, flush=True)
    await store.transact(lambda _: Changes(put=(session("small"),)))


ACTIONS = {
    action.__name__: action
    for action in (hold_lock, hold_claim, remove, compete, increment, add, repair, outgrow)
}


async def main(workspace: str, action: str, *words: str) -> None:
    async with JsonStore.opened(Path(workspace), JsonOptions()) as store:
        await ACTIONS[action](store, *words)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
