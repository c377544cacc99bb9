"""Output that outlives its process."""

from __future__ import annotations

import anyio
import pytest

from frith.errors import TerminalClosedError, UnsupportedCapabilityError
from frith.model import ExitStatus, Session
from frith.ports import Size, Terminal, TerminalSpawner
from frith.providers import Capability
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.shells import Spawn, output_of, shown

LINES = 500
COUNT = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done"
"""Writes numbered lines, fewer than any provider may drop."""
WRITTEN = b"".join(b"line %d\r\n" % number for number in range(LINES))


class RecallConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about output that outlives its process."""

    @promise(needs=Capability.RECALL)
    async def test_any_host_can_recall_the_output_of_a_collected_process(
        self, spawn: Spawn, opening: Opening
    ) -> None:
        session = a_session()
        await collected(await spawn(f"{COUNT}; exit 5", session=session))
        for _ in range(2):
            async with opening.open() as other:
                terminal = await recalled(other, session)
                assert await output_of(terminal) == WRITTEN
                async with terminal.attach(from_offset=len(WRITTEN) - 7) as view:
                    assert view.snapshot == WRITTEN[-7:]
                assert await terminal.exited() == ExitStatus(code=5)

    @promise(needs=Capability.RECALL)
    async def test_the_last_process_of_a_session_is_recalled(self, spawn: Spawn) -> None:
        session = a_session()
        await collected(await spawn("echo first", session=session))
        terminal = await spawn("echo second; read -r line", session=session)
        await shown(terminal, b"second")
        assert await spawn.spawner.recall(session) is None, "the session has a process"
        await terminal.write(b"\n")
        await collected(terminal)
        output = await output_of(await recalled(spawn.spawner, session))
        assert b"second" in output
        assert b"first" not in output

    @promise(needs=Capability.RECALL)
    async def test_a_recalled_terminal_accepts_no_input(self, spawn: Spawn) -> None:
        session = a_session()
        await collected(await spawn("echo done", session=session))
        terminal = await recalled(spawn.spawner, session)
        with pytest.raises(TerminalClosedError):
            await terminal.write(b"x")
        with pytest.raises(TerminalClosedError):
            await terminal.resize("viewer", Size())
        with pytest.raises(TerminalClosedError):
            await terminal.signal(15)

    @promise(needs=Capability.RECALL)
    async def test_forgotten_output_is_not_recalled(self, spawn: Spawn, opening: Opening) -> None:
        session = a_session()
        await collected(await spawn("echo done", session=session))
        for _ in range(2):
            await spawn.spawner.forget(session.id)
            assert await spawn.spawner.recall(session) is None
        async with opening.open() as other:
            assert await other.recall(session) is None

    @promise(without=Capability.RECALL)
    async def test_recalling_is_refused_unless_declared(self, spawn: Spawn) -> None:
        session = a_session()
        with pytest.raises(UnsupportedCapabilityError) as caught:
            await spawn.spawner.recall(session)
        assert caught.value.capability == Capability.RECALL
        with pytest.raises(UnsupportedCapabilityError) as caught:
            await spawn.spawner.forget(session.id)
        assert caught.value.capability == Capability.RECALL


async def collected(terminal: Terminal) -> None:
    """Wait until ``terminal`` is drained, and collect its end."""
    with anyio.fail_after(PATIENCE):
        await terminal.drained()
        await terminal.collect()


async def recalled(spawner: TerminalSpawner, session: Session) -> Terminal:
    """Return the last terminal of ``session``; fail if there is none."""
    terminal = await spawner.recall(session)
    assert terminal is not None, "recall() found no terminal"
    return terminal
