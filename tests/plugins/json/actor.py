"""A second process: ``actor.py WORKSPACE WHAT …``; see the functions below."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from uuid import uuid4

import anyio

from frith.errors import ClaimHeldError
from frith.model import Changes, Session, SessionStatus, Snapshot, now
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


async def add(store: JsonStore, name: str, times: str = "1") -> None:
    """Add sessions, one at a time, and say when each is durable."""
    for _ in range(int(times)):
        await store.transact(lambda _: Changes(put=(session(name),)))
        ready()


ACTIONS = {action.__name__: action for action in (hold_lock, hold_claim, remove, compete, add)}


async def main(workspace: str, action: str, *words: str) -> None:
    async with JsonStore.opened(Path(workspace), JsonOptions()) as store:
        await ACTIONS[action](store, *words)


if __name__ == "__main__":
    anyio.run(partial(main, *sys.argv[1:]))
