"""Commands and platforms that are refused, and the errors."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frith.config import validated
from frith.errors import (
    CommandNotFoundError,
    ConfigurationError,
    SpawnError,
    UnsupportedPlatformError,
    WorkingDirectoryError,
)
from frith.ports import Size, SpawnRequest, TerminalSpawner
from frith_pty import posix_spawn
from frith_terminals.options import TerminalOptions


@pytest.fixture
def few_descriptors() -> Any:
    """Lets the host open only so many more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def leave(count: int) -> None:
        free = os.open("/", os.O_RDONLY)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + count, hard))

    yield leave
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize("command", ["no-such-command", "./no-such-command", "/no/such/command"])
async def test_a_missing_command_is_named(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], command: Any
) -> None:
    with pytest.raises(CommandNotFoundError, match="there is no") as refused:
        await spawner.spawn(request_for(command, "argument"))
    assert refused.value.command == (command, "argument")
    assert refused.value.code == "COMMAND_NOT_FOUND"


async def test_an_exit_code_of_127_is_an_exit_code(shell: Any) -> None:
    assert (await (await shell("exit 127")).exited()).code == 127


async def test_a_file_that_is_not_executable_is_not_run(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("x")
    for command in ("./notes", "notes"):
        with pytest.raises(CommandNotFoundError, match="make it executable"):
            await spawner.spawn(request_for(command, env={"PATH": str(tmp_path)}))


async def test_a_directory_is_not_run(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], tmp_path: Path
) -> None:
    with pytest.raises(CommandNotFoundError, match="is a directory"):
        await spawner.spawn(request_for(str(tmp_path)))


async def test_a_missing_interpreter_is_named_as_the_reason(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], tmp_path: Path
) -> None:
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    with pytest.raises(CommandNotFoundError, match="interpreter of './script' is missing"):
        await spawner.spawn(request_for("./script"))


async def test_an_interpreter_that_may_not_be_executed_is_refused(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], tmp_path: Path
) -> None:
    (tmp_path / "script").write_text("#!/etc/passwd\n")
    (tmp_path / "script").chmod(0o755)
    with pytest.raises(CommandNotFoundError, match="may not be executed"):
        await spawner.spawn(request_for("./script"))


async def test_a_file_of_another_machine_is_not_fed_to_a_shell(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], tmp_path: Path
) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0\0 of another machine")
    (tmp_path / "binary").chmod(0o755)
    with pytest.raises(SpawnError, match="Exec format error"):
        await spawner.spawn(request_for("./binary"))


@pytest.mark.parametrize("name", ["missing", "file"])
async def test_a_working_directory_that_does_not_exist_is_named(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest], tmp_path: Path, name: Any
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkingDirectoryError, match=name):
        await spawner.spawn(request_for("true", cwd=str(tmp_path / name)))


async def test_a_working_directory_that_may_not_be_entered_is_named(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if os.geteuid() == 0:  # root may enter any directory
        monkeypatch.setattr(os, "access", lambda *_, **__: False)
    (tmp_path / "closed").mkdir(mode=0o600)
    with pytest.raises(WorkingDirectoryError, match="may not be entered"):
        await spawner.spawn(request_for("true", cwd=str(tmp_path / "closed")))


@pytest.mark.parametrize(
    ("command", "fields", "reason"),
    [
        ((), {}, "command is empty"),
        (("",), {}, "command is empty"),
        (("echo", "a\0b"), {}, "NUL"),
        (("true",), {"env": {"A": "\0"}}, "NUL"),
        (("true",), {"cwd": "/\0"}, "NUL"),
        (("true",), {"env": {"A=B": "c"}}, "'A=B' is not a name"),
        (("true",), {"env": {"": "c"}}, "'' is not a name"),
        (("true",), {"size": Size(0, 80)}, "0 rows"),
        (("true",), {"size": Size(24, 65536)}, "65536 columns"),
        (("true", "x" * 3_000_000), {}, "too long"),
    ],
)
async def test_what_no_system_can_start_is_refused(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    command: Any,
    fields: Any,
    reason: Any,
) -> None:
    with pytest.raises(SpawnError, match=reason):
        await spawner.spawn(request_for(*command, **fields))


@pytest.mark.requirement("R7.5")
@pytest.mark.parametrize("left", range(5))
async def test_without_descriptors_nothing_is_started_and_nothing_leaks(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    few_descriptors: Any,
    left: Any,
) -> None:
    async def spawn_three() -> None:
        for _ in range(3):
            await spawner.spawn(request_for("sleep", "100"))

    few_descriptors(left)
    with pytest.raises(SpawnError):
        await spawn_three()


@pytest.mark.requirement("R7.5")
async def test_without_memory_for_the_scrollback_no_process_is_started(
    spawner: TerminalSpawner, opened: Any, request_for: Callable[..., SpawnRequest]
) -> None:
    async with opened(scrollback=1 << 62) as immense:
        with pytest.raises(SpawnError, match="no memory for a scrollback"):
            await immense.spawn(request_for("sleep", "100"))


@pytest.mark.requirement("R7.5")
async def test_a_process_that_cannot_be_held_is_not_left_running(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pidfd_open(pid: int) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pidfd_open", pidfd_open)
        with pytest.raises(SpawnError, match="Too many open files"):
            await spawner.spawn(request_for("sleep", "100"))


async def test_a_process_that_is_gone_before_it_is_held_is_not_sought(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pidfd_open(pid: int) -> int:
        os.waitpid(pid, 0)
        raise ProcessLookupError(3, "No such process")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pidfd_open", pidfd_open)
        with pytest.raises(SpawnError, match="No such process"):
            await spawner.spawn(request_for("true"))


async def test_a_host_that_ignores_sigchld_is_refused(
    spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest]
) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(SpawnError, match="SIGCHLD"):
            await spawner.spawn(request_for("true"))
    finally:
        signal.signal(signal.SIGCHLD, before)


async def test_a_closed_provider_starts_nothing(
    opened: Any, request_for: Callable[..., SpawnRequest]
) -> None:
    async with opened() as spawner:
        pass
    with pytest.raises(SpawnError, match="closed"):
        await spawner.spawn(request_for("true"))


@pytest.mark.requirement("R9.1")
async def test_another_platform_is_refused_at_once(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(UnsupportedPlatformError, match="plan9"):
        async with opened():
            pass


@pytest.mark.requirement("R9.1")
async def test_a_kernel_without_pidfds_is_refused_at_once(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pidfd_open(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    with pytest.raises(UnsupportedPlatformError, match="pidfd_open"):
        async with opened():
            pass


@pytest.mark.requirement("R9.1")
async def test_a_system_without_proc_is_refused_at_once(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frith_pty.spawner.stat_of", lambda pid: None)
    with pytest.raises(UnsupportedPlatformError, match="/proc"):
        async with opened():
            pass


@pytest.mark.requirement("R9.1")
def test_an_old_c_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    with pytest.raises(UnsupportedPlatformError, match="C library"):
        posix_spawn.PosixSpawn()


@pytest.mark.parametrize(
    "options", [{"scrollback": 10}, {"write_timeout": 0}, {"term": ""}, {"scrolback": 5000}]
)
def test_wrong_options_are_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        validated(TerminalOptions, options)
