"""The command, environment, descriptors, signals and window that a process starts with."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from frith.errors import CommandNotFoundError, SpawnError, WorkingDirectoryError
from frith.ports import Size
from frith_testing.harness.base import Opening
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.harness.watchdog import unblocked_by
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.processes import Processes
from frith_testing.suites.terminal.shells import Spawn, output_of, shown, spawning

WAIT = "echo ready; read -r _"
OF_THE_C_LIBRARY = {32, 33}
"""Real-time signals that the C library reserves."""


class StartConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about the start of a process."""

    async def test_the_command_runs_as_given_in_its_directory_with_its_environment(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        directory = workspace / "below"
        directory.mkdir()
        names = '"$PWD" "$GIVEN" "$FRITH_SESSION_ID" "$FRITH_WORKSPACE"'
        arguments = ("a b", "", "$HOME", "ü")
        session = a_session()
        terminal = await spawn.command(
            *("sh", "-c", f'printf "%s|" {names} "$@" >told', "sh", *arguments),
            session=session,
            cwd=str(directory),
            env={"GIVEN": "given value"},
        )
        assert terminal.session_id == session.id
        await output_of(terminal)
        expected = [str(directory), "given value", session.id, str(workspace), *arguments, ""]
        assert (directory / "told").read_text().split("|") == expected

    async def test_the_environment_of_the_host_is_inherited(
        self, spawn: Spawn, workspace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FROM_HOST", "inherited")
        monkeypatch.setenv("OVERRIDDEN", "by host")
        terminal = await spawn(
            "echo $FROM_HOST $OVERRIDDEN >told", env={"OVERRIDDEN": "by request"}
        )
        await output_of(terminal)
        assert (workspace / "told").read_text() == "inherited by request\n"

    @promise(since="1.1")
    async def test_a_process_does_not_inherit_the_repository_or_terminal_of_the_host(
        self, spawn: Spawn, workspace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # as in a git alias or hook, in a terminal multiplexer and in an agent
        for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "TMUX", "STY", "CLAUDECODE"):
            monkeypatch.setenv(name, "of the host")
        terminal = await spawn("env | grep -c 'of the host' >told")
        await output_of(terminal)
        assert (workspace / "told").read_text() == "0\n"

    @promise(since="1.1")
    async def test_git_configuration_in_the_environment_is_inherited(
        self, spawn: Spawn, workspace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        terminal = await spawn("echo $GIT_CONFIG_COUNT $GIT_CONFIG_KEY_0 $GIT_CONFIG_VALUE_0 >told")
        await output_of(terminal)
        assert (workspace / "told").read_text() == "1 a.b c\n"

    async def test_a_process_carries_the_identity_of_its_own_session_only(
        self,
        spawn: Spawn,
        workspace: Path,
        processes: Processes,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        foreign = {"FRITH_SESSION_ID": a_session().id, "FRITH_WORKSPACE": "/elsewhere"}
        for name, value in foreign.items():
            monkeypatch.setenv(name, value)
        session = a_session()
        terminal = await spawn(WAIT, session=session, env=foreign)
        await shown(terminal, b"ready")
        assert processes.of(foreign["FRITH_SESSION_ID"]) == set()
        (pid,) = processes.of(session.id)
        told = sorted(e for e in processes.environment(pid) if e.partition("=")[0] in foreign)
        assert told == [f"FRITH_SESSION_ID={session.id}", f"FRITH_WORKSPACE={workspace}"]

    async def test_the_pid_of_a_terminal_is_that_of_its_process(
        self, spawn: Spawn, workspace: Path, processes: Processes
    ) -> None:
        session = a_session()
        terminal = await spawn(WAIT, session=session)
        await shown(terminal, b"ready")
        assert processes.of(session.id) == {terminal.pid}
        assert processes.directory(terminal.pid) == workspace

    async def test_the_process_leads_a_session_with_a_controlling_terminal_of_its_own(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        terminals = []
        for session in (a_session(), a_session()):
            await shown(await spawn(WAIT, session=session), b"ready")
            (pid,) = processes.of(session.id)
            stat = processes.stat(pid)
            assert stat is not None
            assert (stat.session, stat.group) == (pid, pid)
            assert stat.terminal, "the process has no controlling terminal"
            terminals.append(stat.terminal)
        assert len(set(terminals)) == 2

    async def test_writes_to_the_controlling_terminal_are_output(self, spawn: Spawn) -> None:
        terminal = await spawn("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo via tty >/dev/tty")
        assert await output_of(terminal) == b"via tty\r\n"

    async def test_a_process_inherits_no_descriptor_of_the_host(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        with inheritable_descriptors():
            session = a_session()
            await shown(await spawn(WAIT, session=session), b"ready")
            (pid,) = processes.of(session.id)
            found = processes.descriptors(pid)
        assert found.keys() == {0, 1, 2}
        assert len(set(found.values())) == 1, f"these are not the same terminal: {found}"

    async def test_a_process_does_not_inherit_ignored_or_blocked_signals(
        self, spawn: Spawn, processes: Processes
    ) -> None:
        session = a_session()
        with signals_set_aside():
            await shown(await spawn(WAIT, session=session), b"ready")
        (pid,) = processes.of(session.id)
        assert processes.signals(pid, "SigIgn") <= OF_THE_C_LIBRARY
        assert processes.signals(pid, "SigBlk") == set()

    async def test_the_window_has_the_latest_size(self, spawn: Spawn, workspace: Path) -> None:
        script = "stty size >before; echo ready; read -r _; stty size >after"
        terminal = await spawn(script, size=Size(40, 100))
        await shown(terminal, b"ready")
        await terminal.resize("viewer", Size(50, 120))
        await terminal.write(b"\n")
        await output_of(terminal)
        assert (workspace / "before").read_text() == "40 100\n"
        assert (workspace / "after").read_text() == "50 120\n"

    async def test_a_new_size_is_signalled_to_the_process(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        script = "trap 'stty size >told; exit' WINCH; echo ready; while :; do sleep 0.05; done"
        terminal = await spawn(script)
        await shown(terminal, b"ready")
        await terminal.resize("viewer", Size(50, 120))
        await output_of(terminal)
        assert (workspace / "told").read_text() == "50 120\n"

    @pytest.mark.parametrize("size", [Size(0, 80), Size(24, 0), Size(-1, 80), Size(24, 65536)])
    async def test_an_impossible_size_is_refused(self, spawn: Spawn, size: Size) -> None:
        terminal = await spawn("read -r _")
        with pytest.raises(ValueError, match=r"\d"):
            await terminal.resize("viewer", size)

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
    async def test_an_empty_or_invalid_command_is_refused(
        self, spawn: Spawn, command: tuple[str, ...]
    ) -> None:
        with pytest.raises(SpawnError):
            await spawn.command(*command)

    @promise(since="1.1")
    async def test_the_command_is_looked_up_in_its_own_directory_and_path(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        # It is looked up in the PATH and the directory of the request, as a shell there would.
        for directory in ("below", "tools"):
            (workspace / directory).mkdir()
            tool = workspace / directory / f"{directory}-tool"
            tool.write_text(f"#!/bin/sh\necho {directory}")
            tool.chmod(0o755)
        env = {"PATH": f"{workspace}/tools:{os.environ['PATH']}"}
        assert await output_of(await spawn.command("tools-tool", env=env)) == b"tools\r\n"
        relative = await spawn.command("./below-tool", cwd=str(workspace / "below"))
        assert await output_of(relative) == b"below\r\n"

    @promise(since="1.1")
    async def test_a_command_that_is_too_long_is_refused(self, spawn: Spawn) -> None:
        with pytest.raises(SpawnError):
            await spawn.command("true", "x" * 2_000_000)

    async def test_spawning_does_not_wait_for_the_process(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        go_on = workspace / "go-on"
        script = f"while ! [ -e {go_on} ]; do sleep 0.01; done; echo done"
        with unblocked_by(go_on.touch) as given_up:
            terminal = await spawn(script)
            assert not given_up.is_set(), "spawn() waited for the process"
            go_on.touch()
            assert await output_of(terminal) == b"done\r\n"

    async def test_a_terminal_provider_works_in_any_thread(
        self, opening: Opening, workspace: Path, anyio_backend_name: str
    ) -> None:
        async def run() -> bytes:
            async with opening.open() as spawner, spawning(spawner, workspace) as spawn:
                return await output_of(await spawn("echo from a thread"))

        def in_thread() -> bytes:
            return anyio.run(run, backend=anyio_backend_name)

        assert await anyio.to_thread.run_sync(in_thread) == b"from a thread\r\n"


@contextmanager
def inheritable_descriptors() -> Iterator[None]:
    """Keep inheritable descriptors open, one of them with a high number."""
    fds = list(os.pipe())
    fds.append(os.dup2(fds[0], 200))
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
        yield
    finally:
        for fd in fds:
            os.close(fd)


@contextmanager
def signals_set_aside() -> Iterator[None]:
    """Ignore and block signals as hosts do; Python itself ignores SIGPIPE."""
    ignored = {signal.SIGPIPE, signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM}
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
