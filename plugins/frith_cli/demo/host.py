"""The host that the demo kills: ``python -m frith_cli.demo.host WORKSPACE``.

It creates sessions, prints ``ready`` and runs until it is killed, or standard input ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
from pydantic import JsonValue

from frith import ManagerConfig, SessionManager

# Ends by itself once the repository is removed, even if the demo is killed.
_WORK = 'while [ -e "$FRITH_WORKSPACE/.git" ]; do sleep 0.2; done'

SESSIONS = {
    "login": ("sh", "-c", _WORK),
    "search": ("sh", "-c", _WORK),
    "stubborn": ("sh", "-c", f"trap '' HUP; {_WORK}"),
}
"""The sessions and their commands; the last one survives the end of its terminal."""
PHASE = "review"
METADATA: dict[str, JsonValue] = {"ticket": 42, "notes": ["first", {"deep": None}]}


async def run(workspace: Path) -> None:
    """Create the sessions and keep them until standard input ends."""
    async with SessionManager(ManagerConfig(workspace=workspace)) as manager:
        for name, command in SESSIONS.items():
            session = await manager.create_session(name, command=command)
        await manager.update_session(session.id, current_phase=PHASE, metadata=METADATA)
        print("ready", flush=True)
        await anyio.wait_readable(sys.stdin)


if __name__ == "__main__":
    anyio.run(run, Path(sys.argv[1]))
