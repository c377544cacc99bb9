"""Makes changes as fast as it can: ``python changing.py WORKSPACE COUNT SEED``.

It creates, renames, reports on and destroys sessions without a process, its own and those of
others. Six of these at once are what the readers of changes are tested with.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import anyio

from frith import ManagerConfig, SessionManager, SessionStatus
from frith.errors import SessionNotFoundError
from frith.model import Changes, Session, SessionId, Snapshot, now

MOST = 12
"""Sessions that exist at once, more or less."""


async def change(workspace: Path, count: int, chance: Random) -> None:
    config = ManagerConfig(workspace=workspace, max_sessions=1000)
    async with SessionManager(config, restore=False) as manager:
        for number in range(count):
            sessions = manager.get_all_sessions()
            if len(sessions) < chance.randrange(1, MOST):
                await create(manager, f"session-{number}", chance)
                continue
            session_id = chance.choice(sessions).id
            try:
                await change_one(manager, session_id, number, chance)
            except SessionNotFoundError:  # another process was faster
                await manager.load_sessions()


async def change_one(
    manager: SessionManager, session_id: SessionId, number: int, chance: Random
) -> None:
    match chance.randrange(4):
        case 0:
            await manager.update_session(session_id, metadata={"number": number})
        case 1:
            status = chance.choice([SessionStatus.IDLE, SessionStatus.WAITING])
            await manager.update_session_status(session_id, status, message=str(number))
        case 2:
            await manager.update_last_activity(session_id)
        case _:
            await manager._engine.ledger.drop(session_id)


async def create(manager: SessionManager, name: str, chance: Random) -> None:
    """Record a session without a worktree, which would take longer than everything else."""
    id_ = f"{chance.getrandbits(32):08x}-0000-4000-8000-{chance.getrandbits(48):012x}"
    session = Session(
        id=id_,
        name=name,
        status=SessionStatus.IDLE,
        branch=f"feature/{id_}",
        worktree_path=f"{manager.config.workspace}/.worktrees/{id_}",
        created_at=now(),
        last_activity=now(),
    )

    def transaction(_: Snapshot) -> Changes:
        return Changes(put=(session,))

    await manager._engine.ledger.change(transaction)


if __name__ == "__main__":
    _, where, how_many, seed = sys.argv
    anyio.run(change, Path(where), int(how_many), Random(seed))
