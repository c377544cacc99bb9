"""Shell scripts in terminals, and their output."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from frith.model import Session
from frith.ports import Chunk, Gap, Size, SpawnRequest, Terminal, TerminalSpawner
from frith_testing.harness.base import PATIENCE
from frith_testing.harness.samples import a_session


class Spawn:
    """Starts shell scripts in the workspace, and keeps their terminals."""

    def __init__(self, spawner: TerminalSpawner, workspace: Path) -> None:
        self.spawner = spawner
        self.terminals: list[Terminal] = []
        self._workspace = str(workspace)

    async def __call__(
        self,
        script: str,
        *,
        session: Session | None = None,
        env: Mapping[str, str] | None = None,
        size: Size | None = None,
    ) -> Terminal:
        """Start ``script``."""
        return await self.command("sh", "-c", script, session=session, env=env, size=size)

    async def command(
        self,
        *command: str,
        session: Session | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        size: Size | None = None,
    ) -> Terminal:
        """Start ``command``, by default for a new session and in the workspace."""
        request = SpawnRequest(
            session_id=(session or a_session()).id,
            command=command,
            cwd=cwd or self._workspace,
            workspace=self._workspace,
            env=env or {},
            size=size or Size(),
        )
        terminal = await self.spawner.spawn(request)
        self.terminals.append(terminal)
        return terminal


@asynccontextmanager
async def spawning(spawner: TerminalSpawner, workspace: Path) -> AsyncIterator[Spawn]:
    """Give a :class:`Spawn`; the processes that it has started are terminated afterwards."""
    spawn = Spawn(spawner, workspace)
    try:
        yield spawn
    finally:
        with anyio.fail_after(PATIENCE, shield=True):
            for terminal in spawn.terminals:
                await terminal.terminate(0)


def data_of(part: Chunk | Gap) -> bytes:
    """Return the data of ``part``; fail if it is a gap."""
    assert not isinstance(part, Gap), f"the output has a gap although it was read in time: {part}"
    return part.data


async def output_of(terminal: Terminal) -> bytes:
    """Return the scrollback once the process has ended and its terminal is drained."""
    with anyio.fail_after(PATIENCE):
        await terminal.exited()
        await terminal.drained()
    async with terminal.attach() as view:
        return view.snapshot


async def shown(terminal: Terminal, text: bytes) -> None:
    """Wait until the output contains ``text``; fail if it ends before."""
    with anyio.fail_after(PATIENCE):
        async with terminal.attach() as view:
            seen = view.snapshot
            following = aiter(view)
            while text not in seen:
                part = await anext(following, None)
                if part is None:
                    raise AssertionError(f"the output is {seen!r}, without {text!r}")
                seen += data_of(part)
