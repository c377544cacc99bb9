"""Processes that outlive their host are adopted by the next one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.model import ExitStatus, Session
from frith.ports import Terminal, TerminalSpawner
from frith.providers import Capability
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.process import elsewhere, program
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, output_of, shown
from frith_testing.suites.terminal.termination import WAIT

ECHO = 'stty -echo; echo ready; while read -r line; do echo "got $line"; done'
LINES = 5000
COUNT = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done"
"""Writes numbered lines, fewer than any provider may drop."""


class AdoptionConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about processes that outlive their host."""

    @promise(needs=Capability.ADOPT)
    async def test_processes_survive_the_closing_of_their_provider(
        self, opening: Opening, processes: Processes
    ) -> None:
        async with outliving(opening) as session:
            async with opening.open() as spawner:
                terminal = await Spawn(spawner, opening.workspace)(ECHO, session=session)
                await shown(terminal, b"ready")
            assert terminal.pid in processes.of(session.id)
            async with opening.open() as spawner:
                again = await adopted(spawner, recorded(session, terminal))
                await again.write(b"more\n")
                await shown(again, b"got more")

    @promise(needs=Capability.ADOPT)
    async def test_a_process_of_a_killed_host_is_adopted(
        self, spawn: Spawn, opening: Opening, processes: Processes
    ) -> None:
        async with outliving(opening) as session:
            session, _ = await left_running(opening, session, ECHO, "ready")
            terminal = await adopted(spawn.spawner, session)
            assert (terminal.session_id, terminal.pid) == (session.id, session.pty_pid)
            assert terminal.ref == session.details.terminal_ref
            assert processes.of(session.id) == {terminal.pid}
            await terminal.write(b"more\n")
            await shown(terminal, b"got more")

    @promise(needs=Capability.ADOPT)
    async def test_the_output_of_an_adopted_process_continues_without_a_gap(
        self, spawn: Spawn, opening: Opening
    ) -> None:
        whole = b"".join(b"line %d\r\n" % number for number in range(LINES))
        async with outliving(opening) as session:
            session, seen = await left_running(opening, session, COUNT, "line 1\r\n")
            terminal = await adopted(spawn.spawner, session)
            assert await output_of(terminal) == whole
            async with terminal.attach(from_offset=len(seen)) as view:
                assert view.offset == len(seen)
                assert seen.encode() + view.snapshot == whole

    @promise(needs=Capability.ADOPT)
    async def test_two_hosts_can_view_and_write_at_once(
        self, spawn: Spawn, opening: Opening
    ) -> None:
        session = a_session()
        here = await spawn(ECHO, session=session)
        await shown(here, b"ready")
        async with opening.open() as other:
            there = await adopted(other, recorded(session, here))
            for writer, text in ((here, b"this"), (there, b"that")):
                await writer.write(text + b"\n")
                for reader in (here, there):
                    await shown(reader, b"got " + text)
        await here.write(b"alone\n")
        await shown(here, b"got alone")

    @promise(needs=Capability.ADOPT)
    @pytest.mark.parametrize(
        ("end", "status"), [("exit 5", ExitStatus(code=5)), ("kill -9 $$", ExitStatus(signal=9))]
    )
    async def test_an_exit_status_without_a_host_is_kept_until_it_is_collected(
        self, opening: Opening, processes: Processes, end: str, status: ExitStatus
    ) -> None:
        go_on = opening.workspace / "go-on"
        script = f"echo ready; while ! [ -e {go_on} ]; do sleep 0.01; done; {end}"
        async with outliving(opening) as session:
            session, _ = await left_running(opening, session, script, "ready")
            await ends(session, go_on, processes)
            for _ in range(2):
                async with opening.open() as spawner:
                    terminal = await adopted(spawner, session)
                    with anyio.fail_after(PATIENCE):
                        assert await terminal.exited() == status
                        await terminal.drained()
            async with opening.open() as spawner:
                await (await adopted(spawner, session)).collect()
                assert await spawner.adopt(session) is None
            async with opening.open() as spawner:
                assert await spawner.adopt(session) is None
        assert processes.zombies() == set()

    @promise(needs=Capability.ADOPT)
    async def test_a_host_sees_that_another_host_terminates_a_process(
        self, spawn: Spawn, opening: Opening
    ) -> None:
        session = a_session()
        here = await spawn(f"trap 'exit 6' TERM; echo ready; {WAIT}", session=session)
        await shown(here, b"ready")
        async with opening.open() as other:
            there = await adopted(other, recorded(session, here))
            with anyio.fail_after(PATIENCE):
                status = await here.terminate(PATIENCE)
                await there.drained()
                assert await there.exited() == status == ExitStatus(code=6)

    @promise(needs=Capability.ADOPT)
    async def test_sweeping_ends_processes_that_could_be_adopted(
        self, spawn: Spawn, opening: Opening, processes: Processes
    ) -> None:
        async with outliving(opening) as session:
            session, _ = await left_running(opening, session, ECHO, "ready")
            with anyio.fail_after(PATIENCE):
                report = await spawn.spawner.sweep(session, 0.1)
            assert report.found == report.ended == (session.pty_pid,)
            assert processes.of(session.id) == set()
            assert await spawn.spawner.adopt(session) is None

    @promise(since="1.1", needs=Capability.ADOPT)
    async def test_a_process_that_another_session_has_started_is_not_ended_with_it(
        self, spawn: Spawn, opening: Opening, processes: Processes
    ) -> None:
        async with outliving(opening) as inner, outliving(opening) as outer:
            host, env = program(leaves_running, opening, inner, ECHO, "ready")
            script = 'sleep 1000 & setsid sleep 1000 & exec "$@"'
            terminal = await spawn.command("sh", "-c", script, "-", *host, session=outer, env=env)
            await terminal.write(b"\n")
            await shown(terminal, b"]\r\n")
            pid, ref, _ = json.loads((await seen_by(terminal)).splitlines()[-1])
            with anyio.fail_after(PATIENCE):
                await terminal.terminate(0.1)
                assert processes.of(outer.id) == set()
                async with opening.open() as other:
                    await other.sweep(outer, 0)
            session = inner.evolve(pty_pid=pid).detail(terminal_ref=ref)
            again = await adopted(spawn.spawner, session)
            await again.write(b"more\n")
            await shown(again, b"got more")

    @promise(needs=Capability.ADOPT)
    async def test_a_session_without_a_process_is_not_adopted(self, spawn: Spawn) -> None:
        assert await spawn.spawner.adopt(a_session()) is None
        terminal = await spawn("exit 0", session=(session := a_session()))
        with anyio.fail_after(PATIENCE):
            await terminal.terminate(0)
        assert await spawn.spawner.adopt(recorded(session, terminal)) is None

    @promise(since="1.1", needs=Capability.ADOPT)
    async def test_processes_that_can_be_adopted_are_listed_even_if_unrecorded(
        self, spawn: Spawn, opening: Opening
    ) -> None:
        elsewhere = opening.workspace.with_name("elsewhere")
        elsewhere.mkdir()
        terminal = await spawn("read -r _", session=(session := a_session()))
        async with opening.open() as other, opening.at(elsewhere).open() as stranger:
            assert await other.kept() == {session.id: terminal.pid}
            assert await stranger.kept() == {}
        with anyio.fail_after(PATIENCE):
            await terminal.terminate(0)
            await terminal.collect()
        assert await spawn.spawner.kept() == {}


@asynccontextmanager
async def outliving(opening: Opening) -> AsyncIterator[Session]:
    """Give a new session, whose processes are swept afterwards."""
    session = a_session()
    try:
        yield session
    finally:
        with anyio.CancelScope(shield=True):
            async with opening.open() as spawner:
                await spawner.sweep(session, 0)


def recorded(session: Session, terminal: Terminal) -> Session:
    """Return ``session`` as a host stores it while ``terminal`` runs its process."""
    return session.evolve(pty_pid=terminal.pid).detail(terminal_ref=terminal.ref)


async def adopted(spawner: TerminalSpawner, session: Session) -> Terminal:
    """Return the adopted terminal of ``session``; fail if there is none."""
    terminal = await spawner.adopt(session)
    assert terminal is not None, "adopt() found no process"
    return terminal


async def seen_by(terminal: Terminal) -> bytes:
    """Return what ``terminal`` has written so far."""
    async with terminal.attach() as view:
        return view.snapshot


async def left_running(
    opening: Opening, session: Session, script: str, until: str
) -> tuple[Session, str]:
    """Have a host start ``script``, and kill the host once it has seen ``until``.

    Returns:
        The session as stored, and the output that the host has seen.
    """
    async with elsewhere(leaves_running, opening, session, script, until) as other:
        pid, ref, seen = await other.step()
        await other.kill()
    return session.evolve(pty_pid=pid).detail(terminal_ref=ref), seen


async def leaves_running(
    opening: Opening, session: Session, script: str, until: str
) -> AsyncIterator[tuple[int, Any, str]]:
    """In another process: start ``script``; yield its pid, its reference and its output."""
    async with opening.open() as spawner:
        terminal = await Spawn(spawner, opening.workspace)(script, session=session)
        await shown(terminal, until.encode())
        async with terminal.attach() as view:
            yield terminal.pid, terminal.ref, view.snapshot.decode()


async def ends(session: Session, go_on: Path, processes: Processes) -> None:
    """Let the process of ``session`` end, and wait until it has."""
    go_on.touch()
    with anyio.fail_after(PATIENCE):
        while processes.of(session.id):  # noqa: ASYNC110 - not our child
            await anyio.sleep(0.01)
