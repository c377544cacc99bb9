"""What every terminal provider must do: see :class:`spinney.ports.TerminalSpawner`."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from spinney.errors import (
    CommandNotFoundError,
    LineTooLongError,
    SpawnError,
    TerminalClosedError,
    UnsupportedCapabilityError,
    WorkingDirectoryError,
)
from spinney.model import ExitStatus
from spinney.ports import AttachMode, Chunk, Size, SweepReport
from spinney.providers import Capability, Role
from spinney_testing._base import PATIENCE, Opening, ProviderConformance
from spinney_testing._process import elsewhere
from spinney_testing._samples import a_session
from spinney_testing._shells import Spawn, leaves_behind, output_of, shown

FLOOD = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
FLOODED = b"".join(b"line %d\r\n" % number for number in range(20000))


class SpawnerConformance(ProviderConformance, suite="terminal"):
    """Tests of a terminal provider. Define the fixture ``provider``.

    The processes are POSIX shells that run where the workspace is.
    """

    role = Role.TERMINAL

    @pytest.fixture
    async def spawn(self, opening: Opening, workspace: Path) -> AsyncIterator[Spawn]:
        """Return what starts a shell script; it is ended after the test."""
        async with opening.open() as spawner:
            spawn = Spawn(spawner, workspace)
            try:
                yield spawn
            finally:
                with anyio.CancelScope(shield=True):
                    for terminal in spawn.terminals:
                        await terminal.terminate(0)

    async def test_the_command_runs_as_given_in_its_directory_with_its_environment(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        (workspace / "below").mkdir()
        script = 'printf "%s|" "$PWD" "$GIVEN" "$SPINNEY_SESSION_ID" "$SPINNEY_WORKSPACE" "$@"'
        arguments = ("a b", "", "$HOME", "ü")
        session = a_session()
        terminal = await spawn.command(
            *("sh", "-c", script, "sh", *arguments),
            session=session,
            cwd=str(workspace / "below"),
            env={"GIVEN": "given value"},
        )
        assert terminal.session_id == session.id
        expected = [str(workspace / "below"), "given value", session.id, str(workspace)]
        assert (await output_of(terminal)).decode().split("|") == [*expected, *arguments, ""]

    async def test_the_environment_of_the_host_is_inherited(
        self, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FROM_HOST", "inherited")
        monkeypatch.setenv("OVERRIDDEN", "by host")
        terminal = await spawn("echo $FROM_HOST $OVERRIDDEN", env={"OVERRIDDEN": "by request"})
        assert await output_of(terminal) == b"inherited by request\r\n"

    async def test_the_process_has_a_controlling_terminal_of_its_own(self, spawn: Spawn) -> None:
        terminal = await spawn("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo via tty >/dev/tty")
        assert await output_of(terminal) == b"via tty\r\n"

    async def test_no_descriptor_of_the_host_reaches_the_process(self, spawn: Spawn) -> None:
        reader, writer = os.pipe()
        try:
            os.set_inheritable(writer, True)
            terminal = await spawn(f"[ -e /dev/fd/{writer} ] && echo leaked; echo done")
            assert await output_of(terminal) == b"done\r\n"
        finally:
            os.close(reader)
            os.close(writer)

    async def test_the_window_has_the_size_last_given(self, spawn: Spawn) -> None:
        terminal = await spawn("stty size; read -r _; stty size", size=Size(40, 100))
        await shown(terminal, b"40 100")
        await terminal.resize("viewer", Size(50, 120))
        await terminal.write(b"\n")
        assert (await output_of(terminal)).splitlines()[-1] == b"50 120"

    @pytest.mark.parametrize("size", [Size(0, 80), Size(24, 0), Size(-1, 80), Size(24, 65536)])
    async def test_an_impossible_size_is_refused(self, spawn: Spawn, size: Size) -> None:
        terminal = await spawn("read -r _")
        with pytest.raises(ValueError, match=r"\d"):
            await terminal.resize("viewer", size)

    @pytest.mark.parametrize("code", [0, 3, 127, 255])
    async def test_the_exit_code_is_told_to_everyone_who_asks(
        self, spawn: Spawn, code: int
    ) -> None:
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

    async def test_the_signal_that_killed_it_is_told(self, spawn: Spawn) -> None:
        terminal = await spawn("kill -KILL $$")
        with anyio.fail_after(PATIENCE):
            assert await terminal.exited() == ExitStatus(signal=signal.SIGKILL)

    async def test_a_crash_leaves_others_alone(self, spawn: Spawn) -> None:
        survivor = await spawn("read -r line; echo got $line")
        crash = await spawn("kill -SEGV $$")
        with anyio.fail_after(PATIENCE):
            await crash.exited()
        await survivor.write(b"input\n")
        assert (await output_of(survivor)).endswith(b"got input\r\n")

    async def test_a_lossless_viewer_gets_every_byte_in_order(self, spawn: Spawn) -> None:
        terminal = await spawn(f"read -r _; stty -echo; {FLOOD}")
        seen = bytearray()
        async with terminal.attach(mode=AttachMode.LOSSLESS) as view:
            await terminal.write(b"\n")
            seen += view.snapshot
            with anyio.fail_after(PATIENCE):
                async for part in view:
                    assert isinstance(part, Chunk)
                    assert part.offset == view.offset + len(seen)
                    seen += part.data
        assert seen.endswith(FLOODED)

    async def test_a_viewer_that_never_reads_holds_up_nobody(self, spawn: Spawn) -> None:
        terminal = await spawn(f"read -r _; {FLOOD}")
        async with terminal.attach():
            await terminal.write(b"\n")
            assert (await output_of(terminal)).endswith(b"line 19999\r\n")

    async def test_what_it_wrote_is_replayed_after_its_end(self, spawn: Spawn) -> None:
        terminal = await spawn("echo first; echo last")
        with anyio.fail_after(PATIENCE):
            await terminal.exited()
            await terminal.drained()
        for _ in range(2):
            async with terminal.attach() as view:
                assert (view.offset, view.snapshot) == (0, b"first\r\nlast\r\n")
                assert [part async for part in view] == []

    async def test_the_output_is_replayed_from_an_offset(self, spawn: Spawn) -> None:
        terminal = await spawn("echo first; echo last")
        await output_of(terminal)
        async with terminal.attach(from_offset=7) as view:
            assert (view.offset, view.snapshot) == (7, b"last\r\n")

    async def test_input_reaches_the_process_whole_and_in_order(self, spawn: Spawn) -> None:
        terminal = await spawn("stty -echo; echo ready; while read -r line; do echo $line; done")
        await shown(terminal, b"ready")
        lines = [b"%d" % number * 20 for number in range(50)]
        for line in lines:
            await terminal.write(line + b"\n")
        await terminal.write(b"\x04")
        assert (await output_of(terminal)).split()[1:] == lines

    async def test_a_line_that_the_terminal_would_cut_is_refused(self, spawn: Spawn) -> None:
        terminal = await spawn("read -r _")
        with pytest.raises(LineTooLongError):
            await terminal.write(b"x" * 100_000 + b"\n")

    async def test_what_needs_a_process_is_refused_after_its_end(self, spawn: Spawn) -> None:
        terminal = await spawn("exit 0")
        await output_of(terminal)
        with pytest.raises(TerminalClosedError):
            await terminal.write(b"x")
        with pytest.raises(TerminalClosedError):
            await terminal.signal(signal.SIGINT)
        with pytest.raises(TerminalClosedError):
            await terminal.resize("viewer", Size())

    async def test_a_signal_reaches_the_process(self, spawn: Spawn) -> None:
        terminal = await spawn("trap 'echo caught; exit 5' USR1; echo ready; read -r _")
        await shown(terminal, b"ready")
        await terminal.signal(signal.SIGUSR1)
        await shown(terminal, b"caught")
        assert await terminal.exited() == ExitStatus(code=5)

    async def test_terminating_ends_also_what_ignores_it(self, spawn: Spawn) -> None:
        terminal = await spawn("trap '' TERM HUP; echo ready; while :; do sleep 1; done")
        await shown(terminal, b"ready")
        with anyio.fail_after(PATIENCE):
            status = await terminal.terminate(0.1)
        assert status == ExitStatus(signal=signal.SIGKILL)
        assert await terminal.terminate(0.1) == await terminal.exited() == status

    @pytest.mark.parametrize("command", ["no-such-command", "/no/such/command", "/"])
    async def test_a_command_that_cannot_be_run_is_refused(
        self, spawn: Spawn, command: str
    ) -> None:
        with pytest.raises(CommandNotFoundError) as caught:
            await spawn.command(command, "x")
        assert caught.value.command == (command, "x")

    async def test_a_directory_that_does_not_exist_is_refused(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        with pytest.raises(WorkingDirectoryError):
            await spawn.command("true", cwd=str(workspace / "missing"))

    @pytest.mark.parametrize("command", [(), ("a\x00b",)])
    async def test_a_command_that_is_none_is_refused(
        self, spawn: Spawn, command: tuple[str, ...]
    ) -> None:
        with pytest.raises(SpawnError):
            await spawn.command(*command)

    async def test_sweeping_what_nobody_left_behind_finds_nothing(self, spawn: Spawn) -> None:
        await spawn("read -r _")
        assert await spawn.spawner.sweep(a_session(), 0) == SweepReport()

    async def test_sweeping_touches_no_process_that_only_has_the_recorded_pid(
        self, spawn: Spawn
    ) -> None:
        stranger = await spawn("read -r _; echo alive")
        session = a_session(pty_pid=stranger.pid).detail(terminal_ref=stranger.ref)
        assert (await spawn.spawner.sweep(session, 0)).found == ()
        await stranger.write(b"\n")
        assert (await output_of(stranger)).endswith(b"alive\r\n")

    async def test_a_process_left_behind_by_a_killed_host_is_swept(
        self, spawn: Spawn, opening: Opening
    ) -> None:
        session = a_session()
        async with elsewhere(leaves_behind, opening, session) as other:
            pid, ref = await other.step()
            await other.kill()
        session = session.evolve(pty_pid=pid).detail(terminal_ref=ref)
        with anyio.fail_after(PATIENCE):
            report = await spawn.spawner.sweep(session, 0.1)
        assert pid in report.found
        assert report.ended == report.found
        assert await spawn.spawner.sweep(session, 0.1) == SweepReport()

    async def test_adopting_that_is_not_declared_is_refused(
        self, spawn: Spawn, opening: Opening
    ) -> None:
        if Capability.ADOPT in opening.spec.capabilities:
            pytest.skip("the provider declares 'adopt'")
        with pytest.raises(UnsupportedCapabilityError) as caught:
            await spawn.spawner.adopt(a_session())
        assert caught.value.capability == Capability.ADOPT
