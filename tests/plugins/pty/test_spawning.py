"""The environment, terminal and arguments of a process that was started."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frith.ports import SpawnRequest, TerminalSpawner
from frith_terminals.environment import environment
from frith_terminals.options import TerminalOptions

HERE = os.getpid()


@pytest.mark.requirement("R7.1")
async def test_the_line_discipline_knows_utf8(shell: Any, output_of: Any) -> None:
    assert b" iutf8" in await output_of(await shell("stty -a"))


def test_a_variable_that_the_host_deletes_during_a_start_is_not_inherited(
    request_for: Callable[..., SpawnRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deleted(dict[str, str]):
        def __iter__(self) -> Any:
            yield from ["DELETED", *super().__iter__()]

    monkeypatch.setattr(os, "environ", Deleted(KEPT="kept"))
    found = environment(request_for("true"), TerminalOptions(), "terminal")
    assert found["KEPT"] == "kept"
    assert "DELETED" not in found


def test_an_editor_that_the_user_chose_is_inherited(
    request_for: Callable[..., SpawnRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_EDITOR", "vim")
    found = environment(request_for("true"), TerminalOptions(), "terminal")
    assert found["GIT_EDITOR"] == "vim"


def test_inherited_variables_can_be_configured(
    request_for: Callable[..., SpawnRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VSCODE_IPC_HOOK_CLI", "VSCODE_PID", "TMUX", "MY_TOKEN", "MY_NAME"):
        monkeypatch.setenv(name, "of the host")
    options = TerminalOptions(inherit=("VSCODE_IPC*", "TMUX"), drop=("*_TOKEN", "TMUX"))
    found = environment(request_for("true", env={"MY_TOKEN": "asked for"}), options, "terminal")
    told = {name for name, value in found.items() if value == "of the host"}
    assert told == {"VSCODE_IPC_HOOK_CLI", "MY_NAME"}
    assert found["MY_TOKEN"] == "asked for"


LIES = (
    *("LINES", "COLUMNS", "TERMCAP", "TMUX", "STY", "SSH_TTY", "TERM_PROGRAM", "OLDPWD"),
    *("ZELLIJ", "ZELLIJ_PANE_ID", "NVIM", "VSCODE_IPC_HOOK_CLI", "KITTY_WINDOW_ID", "CLAUDECODE"),
)


async def test_no_variable_describes_the_terminal_or_agent_of_the_host(
    shell: Any, output_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in LIES:
        monkeypatch.setenv(name, "a lie")
    monkeypatch.setenv("TERM", "dumb")
    terminal = await shell("env | grep -c 'a lie'; echo $TERM")
    assert (await output_of(terminal)).split() == [b"0", b"xterm-256color"]


async def test_the_terminal_type_can_be_configured_and_asked_for(
    opened: Any, request_for: Callable[..., SpawnRequest], output_of: Any
) -> None:
    async with opened(term="vt100") as spawner:
        first = await spawner.spawn(request_for("sh", "-c", "echo $TERM"))
        other = await spawner.spawn(request_for("sh", "-c", "echo $TERM", env={"TERM": "vt52"}))
        assert await output_of(first) + await output_of(other) == b"vt100\r\nvt52\r\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may search any directory")
async def test_a_directory_in_the_path_that_may_not_be_searched_is_passed_over(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    output_of: Any,
    tmp_path: Path,
) -> None:
    (tmp_path / "closed").mkdir(mode=0o600)
    terminal = await spawner.spawn(
        request_for("echo", "found", env={"PATH": f"{tmp_path}/closed:/bin"})
    )
    assert await output_of(terminal) == b"found\r\n"


async def test_a_command_with_a_slash_is_relative_to_its_working_directory(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    output_of: Any,
    tmp_path: Path,
) -> None:
    (tmp_path / "a=b").write_text("#!/bin/sh\necho $0 $1\n")
    (tmp_path / "a=b").chmod(0o755)
    terminal = await spawner.spawn(request_for("./a=b", "c"))
    assert await output_of(terminal) == b"./a=b c\r\n"


async def test_a_script_without_interpreter_line_is_run_by_sh(
    spawner: TerminalSpawner,
    request_for: Callable[..., SpawnRequest],
    output_of: Any,
    tmp_path: Path,
) -> None:
    (tmp_path / "script").write_text('echo "$0" "$1"\n')
    (tmp_path / "script").chmod(0o755)
    terminal = await spawner.spawn(request_for("./script", "a b"))
    assert await output_of(terminal) == b"./script a b\r\n"


async def test_the_reference_of_a_process_has_its_start_time_boot_and_pid_namespace(
    shell: Any,
) -> None:
    terminal = await shell("read line")
    fields = Path(f"/proc/{terminal.pid}/stat").read_text().rpartition(")")[2].split()
    assert terminal.ref == {
        "pid": terminal.pid,
        "startTime": fields[19],
        "bootId": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "pidNamespace": str(Path("/proc/self/ns/pid").readlink()),
    }


def test_trio_as_a_guest_of_asyncio_can_spawn(
    opened: Any, request_for: Callable[..., SpawnRequest], output_of: Any
) -> None:
    import trio

    async def inner() -> bytes:
        async with opened() as spawner:
            whole: bytes = await output_of(await spawner.spawn(request_for("echo", "guest")))
            return whole

    async def outer() -> bytes:
        done = asyncio.get_running_loop().create_future()
        trio.lowlevel.start_guest_run(
            inner,
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=done.set_result,
        )
        whole: bytes = (await done).unwrap()
        return whole

    assert asyncio.run(outer()) == b"guest\r\n"
