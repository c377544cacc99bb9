"""How processes end, and how they are terminated."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import anyio
import pytest

from frith.model import ExitStatus
from frith_testing.harness.base import PATIENCE
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, output_of, shown

WAIT = "while :; do sleep 0.05; done"
"""Waits while traps can run: a shell does not interrupt `read` for them."""
JOB = "sh -c 'echo $$ >job; exec sleep 100' &"
WHEREABOUTS = {
    "the group of the process": JOB,
    "a group of its own": f"set -m; {JOB}",
    "a session of its own": f"setsid {JOB}",
}
"""Scripts that start a background job, by the process group or session of the job."""


class TerminationConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about the end of a process."""

    @pytest.mark.parametrize("code", [0, 3, 127, 255])
    async def test_every_caller_gets_the_exit_code(self, spawn: Spawn, code: int) -> None:
        terminal = await spawn(f"exit {code}")
        answers: list[ExitStatus] = []

        async def ask() -> None:
            answers.append(await terminal.exited())

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(ask)
            await ask()
        assert answers == [ExitStatus(code=code)] * 4

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
    async def test_the_exit_status_names_the_signal_that_killed_a_process(
        self, spawn: Spawn, number: signal.Signals
    ) -> None:
        terminal = await spawn(f"kill -{int(number)} $$; {WAIT}")
        with anyio.fail_after(PATIENCE):
            assert await terminal.exited() == ExitStatus(signal=number)

    async def test_a_crash_does_not_affect_other_processes(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        survivor = await spawn("read -r line; echo $line >got")
        crash = await spawn("kill -SEGV $$")
        with anyio.fail_after(PATIENCE):
            await crash.exited()
        await survivor.write(b"input\n")
        await output_of(survivor)
        assert (workspace / "got").read_text() == "input\n"

    async def test_a_process_that_has_closed_its_terminal_has_not_exited(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        closed, go_on = workspace / "closed", workspace / "go-on"
        wait = f"while ! [ -e {go_on} ]; do sleep 0.01; done"
        terminal = await spawn(f"exec <&- >&- 2>&-; touch {closed}; {wait}; exit 7")
        with anyio.fail_after(PATIENCE):
            while not closed.exists():  # noqa: ASYNC110 - another process makes it
                await anyio.sleep(0.01)
            with anyio.move_on_after(0.1) as scope:
                await terminal.exited()
            assert scope.cancelled_caught, "the process runs on without its terminal"
            go_on.touch()
            assert await terminal.exited() == ExitStatus(code=7)

    @promise(since="1.1")
    @pytest.mark.parametrize("stop", ["kill -STOP $$", "kill -STOP 0", "(kill -STOP 0); exit 3"])
    async def test_a_process_that_stops_itself_is_continued(self, spawn: Spawn, stop: str) -> None:
        at_once = await spawn(f"{stop}; exit 3")
        when_typed_into = await spawn(f"read -r line; {stop}; exit 3")
        await when_typed_into.write(b"\n")
        with anyio.fail_after(PATIENCE):
            for terminal in (at_once, when_typed_into):
                assert await terminal.exited() == ExitStatus(code=3)

    async def test_a_process_that_is_reported_as_exited_has_ended(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        session = a_session()
        terminal = await spawn("echo ready; sleep 0.1", session=session)
        with anyio.fail_after(PATIENCE):
            await terminal.exited()
        assert processes.of(session.id) == set()

    async def test_a_signal_reaches_the_whole_group_of_the_process(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        child = f"(trap 'touch child; exit' USR1; echo child is ready; {WAIT}) &"
        terminal = await spawn(f"trap 'wait; exit 5' USR1; {child} echo parent is ready; {WAIT}")
        await shown(terminal, b"child is ready")
        await shown(terminal, b"parent is ready")
        await terminal.signal(signal.SIGUSR1)
        with anyio.fail_after(PATIENCE):
            assert await terminal.exited() == ExitStatus(code=5)
        assert (workspace / "child").exists()

    async def test_terminating_gives_a_process_time_to_clean_up(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        terminal = await spawn(f"trap 'touch tidied; exit 3' TERM; echo ready; {WAIT}")
        await shown(terminal, b"ready")
        with anyio.fail_after(PATIENCE):
            assert await terminal.terminate(PATIENCE) == ExitStatus(code=3)
        assert (workspace / "tidied").exists()

    async def test_terminating_ends_a_process_that_ignores_signals(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        session = a_session()
        terminal = await spawn(f"trap '' TERM HUP; echo ready; {WAIT}", session=session)
        await shown(terminal, b"ready")
        with anyio.fail_after(PATIENCE):
            status = await terminal.terminate(0.1)
        assert processes.of(session.id) == set()
        assert status == ExitStatus(signal=signal.SIGKILL)
        assert await terminal.terminate(0.1) == await terminal.exited() == status

    @pytest.mark.parametrize("where", WHEREABOUTS)
    @pytest.mark.parametrize("ignored", ["HUP", "HUP TERM"])
    async def test_terminating_ends_every_process_of_the_session(
        self, spawn: Spawn, workspace: Path, processes: Processes, where: str, ignored: str
    ) -> None:
        session = a_session()
        script = f"trap '' {ignored}; {job(where)} echo ready; {WAIT}"
        await shown(terminal := await spawn(script, session=session), b"ready")
        assert job_in(workspace) in processes.of(session.id)
        with anyio.fail_after(PATIENCE):
            await terminal.terminate(0.1)
        assert processes.of(session.id) == set()

    async def test_terminating_after_the_exit_ends_remaining_processes(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        session = a_session()
        terminal = await spawn(f"trap '' HUP; {job('a group of its own')} exit 0", session=session)
        with anyio.fail_after(PATIENCE):
            await terminal.exited()
            await terminal.terminate(0.1)
        assert processes.of(session.id) == set()

    async def test_terminating_leaves_other_sessions(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        ended, other = a_session(), a_session()
        terminals = [await spawn(f"echo ready; {WAIT}", session=s) for s in (ended, other)]
        for terminal in terminals:
            await shown(terminal, b"ready")
        with anyio.fail_after(PATIENCE):
            await terminals[0].terminate(0)
        assert processes.runs(terminals[1].pid)
        assert terminals[1].pid in processes.of(other.id)


def job(where: str) -> str:
    """Return the script ``where`` of :data:`WHEREABOUTS`, and a wait until its job runs."""
    script = WHEREABOUTS[where]
    if "setsid" in script and shutil.which("setsid") is None:
        pytest.skip("setsid is not installed")
    return f"{script} while ! [ -s job ]; do sleep 0.01; done;"


def job_in(workspace: Path) -> int:
    """Return the process id of the job that was started in ``workspace``."""
    return int((workspace / "job").read_text())
