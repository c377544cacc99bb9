"""The output that a keeper leaves of its process."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.errors import CommandNotFoundError, SpawnError
from frith.model import ExitStatus, Session
from frith.ports import AttachMode, Resize, Size, SpawnRequest
from frith_keeper import link
from frith_keeper import spawner as spawner_module
from frith_keeper import start as start_module
from frith_keeper.ended import KeptOutput
from frith_keeper.link import KeeperError
from frith_keeper.options import KeeperOptions
from frith_keeper.spawner import open_spawner
from waiting import wait_until

LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def outputs(places: Path) -> Any:
    """Where the keepers leave it."""
    return places.with_name("outputs")


@pytest.fixture
def end(tools: Any) -> Any:
    """Waits for the end of a terminal's process, and takes note of it."""

    async def end(terminal: Any) -> None:
        with anyio.fail_after(tools.patience):
            await terminal.drained()
            await terminal.collect()

    return end


async def test_recalled_output_is_the_scrollback_at_its_offsets(
    spawner: Any, session: Session, other: Any, shell: Any, end: Any
) -> None:
    async with other(scrollback=4096) as host:
        await end(await shell("seq 10000; echo last", of=host))
    written = b"".join(b"%d\r\n" % number for number in range(1, 10001)) + b"last\r\n"
    terminal = await spawner.recall(session)
    async with terminal.attach() as view:
        assert (view.offset, view.snapshot) == (len(written) - 4096, written[-4096:])
        assert [piece async for piece in view] == []
    async with terminal.attach(len(written) - 6, AttachMode.LOSSLESS) as view:
        assert view.snapshot == b"last\r\n"


async def test_a_recalled_terminal_has_the_exit_status_and_the_screen(
    spawner: Any, session: Session, shell: Any, end: Any
) -> None:
    process = await shell("read line; echo last words; kill -9 $$", size=Size(30, 90))
    await process.resize("viewer", Size(10, 40))
    await process.write(b"\n")
    await end(process)
    terminal = await spawner.recall(session)
    assert await terminal.exited() == ExitStatus(signal=9)
    assert (terminal.pid, terminal.session_id) == (process.pid, session.id)
    async with terminal.attach() as view:
        assert view.resizes[-1] == Resize(0, Size(10, 40))
    screen = await terminal.screen()
    assert screen.size == Size(10, 40)
    assert b"last words" in screen.data


async def test_output_can_be_recalled_as_soon_as_the_process_has_ended(
    spawner: Any, session: Session, other: Any, shell: Any, tools: Any
) -> None:
    async with other() as host:
        terminal = await shell("echo words; exit 3")
        with anyio.fail_after(tools.patience):
            await terminal.drained()
        assert await tools.everything(await host.recall(session)) == b"words\r\n"


async def test_output_can_be_recalled_after_the_keeper_was_killed(
    spawner: Any, session: Session, shell: Any, tools: Any, keeper_of: Any
) -> None:
    terminal = await shell("echo words; exit 3")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    os.kill(keeper_of(terminal), signal.SIGKILL)
    assert await tools.everything(await spawner.recall(session)) == b"words\r\n"


async def test_recalled_output_is_whole_where_the_ring_has_wrapped(
    spawner: Any, session: Session, other: Any, shell: Any, end: Any, tools: Any
) -> None:
    async with other(scrollback=100_000) as host:
        await end(await shell("seq 30000", of=host))
    written = b"".join(b"%d\r\n" % number for number in range(1, 30001))
    assert await tools.everything(await spawner.recall(session)) == written[-100_000:]


async def test_output_can_be_recalled_after_the_workspace_was_moved(
    session: Session,
    other: Any,
    shell: Any,
    record: Any,
    tools: Any,
    tmp_path: Path,
    keeper_of: Any,
) -> None:
    async with other() as host:
        terminal = await shell("read line; echo words", of=host)
        moved = tmp_path / "moved"
        moved.mkdir()
        (tmp_path / ".frith").rename(moved / ".frith")
        await terminal.write(b"\n")
        with anyio.fail_after(tools.patience):
            await terminal.drained()
    async with open_spawner(KeeperOptions(), moved) as there:
        assert (await tools.everything(await there.recall(session))).endswith(b"words\r\n")
        await there.sweep(session, 0)


async def test_forgetting_removes_a_file_that_a_killed_keeper_was_writing(
    spawner: Any, session: Session, shell: Any, end: Any, outputs: Any
) -> None:
    await end(await shell("echo words"))
    (outputs / f"{session.id}.tmp").write_text("half")
    await spawner.forget(session.id)
    assert list(outputs.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_output_is_not_written_into_a_directory_of_another_user(
    spawner: Any, session: Session, shell: Any, end: Any, outputs: Any, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    outputs.mkdir(parents=True)
    (outputs / f"{session.id}.tmp").symlink_to(precious)
    os.chown(outputs, 65534, 65534)
    await end(await shell("echo words"))
    assert precious.read_text() == "precious"
    assert await spawner.recall(session) is None


async def test_output_is_not_written_through_a_link(
    spawner: Any, session: Session, shell: Any, end: Any, outputs: Any, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    terminal = await shell("read line; echo words")
    (outputs / f"{session.id}.tmp").symlink_to(precious)
    await terminal.write(b"\n")
    await end(terminal)
    assert precious.read_text() == "precious"


async def test_a_process_that_wrote_nothing_leaves_nothing(
    spawner: Any, session: Session, shell: Any, end: Any, outputs: Any
) -> None:
    await end(await shell("exit 0"))
    assert await spawner.recall(session) is None
    assert list(outputs.iterdir()) == []


async def test_output_of_a_terminated_process_can_be_recalled(
    spawner: Any, session: Session, shell: Any, tools: Any
) -> None:
    terminal = await shell("echo ready; read line")
    await tools.see(terminal, b"ready")
    await terminal.terminate(0)
    assert await tools.everything(await spawner.recall(session)) == b"ready\r\n"


async def test_no_other_user_may_read_the_output(
    shell: Any, end: Any, session: Session, outputs: Any
) -> None:
    await end(await shell("echo secret"))
    assert stat.S_IMODE(outputs.stat().st_mode) == 0o700
    assert stat.S_IMODE((outputs / session.id).stat().st_mode) == 0o600


async def test_a_command_that_cannot_be_started_leaves_the_previous_output(
    spawner: Any,
    session: Session,
    shell: Any,
    request_for: Callable[..., SpawnRequest],
    end: Any,
    tools: Any,
) -> None:
    await end(await shell("echo before"))
    with pytest.raises(CommandNotFoundError):
        await spawner.spawn(request_for("/nowhere/command"))
    assert await tools.everything(await spawner.recall(session)) == b"before\r\n"


async def test_a_keeper_that_no_host_asked_leaves_the_output(
    spawner: Any,
    session: Session,
    other: Any,
    shell: Any,
    record: Any,
    keeper_of: Any,
    tools: Any,
) -> None:
    async with other(linger=0.1) as host:
        terminal = await shell("echo last words; exit 7", of=host)
        recorded = record(terminal)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    adopted = await spawner.adopt(recorded)
    assert await tools.everything(adopted) == b"last words\r\n"
    await adopted.collect()
    assert await tools.everything(await spawner.recall(session)) == b"last words\r\n"


async def test_a_keeper_leaves_the_output_when_the_machine_shuts_down(
    spawner: Any, session: Session, shell: Any, keeper_of: Any, tools: Any
) -> None:
    terminal = await shell("trap 'echo tidied; exit 4' HUP; echo ready; read line")
    await tools.see(terminal, b"ready")
    os.kill(keeper_of(terminal), signal.SIGTERM)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    assert b"tidied" in await tools.everything(await spawner.recall(session))


async def test_output_of_another_process_is_not_shown_for_an_ended_one(
    spawner: Any,
    session: Session,
    other: Any,
    shell: Any,
    record: Any,
    keeper_of: Any,
    tools: Any,
    outputs: Any,
) -> None:
    async with other(linger=0) as host:
        terminal = await shell("echo words", of=host)
        recorded = record(terminal)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    left = (outputs / session.id).read_bytes()
    (outputs / session.id).write_bytes(left.replace(terminal.terminal_id.encode(), b"another"))
    assert await tools.everything(await spawner.adopt(recorded)) == b""


async def test_a_spawn_that_is_cancelled_leaves_nothing(
    shell: Any, outputs: Any, keepers: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, cancelled = threading.Event(), threading.Event()

    def start_and_see(*args: Any) -> Any:
        greeted = start(*args)
        wait_until(lambda: greeted.ring.end)
        started.set()
        cancelled.wait(tools.patience)
        return greeted

    start = start_module.start
    monkeypatch.setattr(spawner_module, "start", start_and_see)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shell, "echo words; read line")
        await anyio.to_thread.run_sync(started.wait, tools.patience)
        tasks.cancel_scope.cancel()
        cancelled.set()
    assert await anyio.to_thread.run_sync(keepers.left) == set()
    assert list(outputs.iterdir()) == []


@pytest.fixture
def full_disk(outputs: Any) -> Any:
    """A file system for the output on which nothing is left but the room of the file given."""
    outputs.mkdir(mode=0o700, parents=True)
    if os.geteuid() or LIBC.mount(b"tmpfs", os.fsencode(outputs), b"tmpfs", 0, b"size=64k"):
        pytest.skip(f"this machine lets nobody mount: {os.strerror(ctypes.get_errno())}")
    ballast = outputs / "ballast"
    ballast.write_bytes(b"x" * 60 * 1024)
    yield ballast
    # Lazily: a keeper that is just leaving may be in there.
    LIBC.umount2(os.fsencode(outputs), 2)


async def test_a_start_that_fails_after_the_command_has_ended_leaves_nothing(
    shell: Any, outputs: Any, keepers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def understand_nothing(*_: Any) -> None:
        wait_until(lambda: outputs.is_dir() and [*outputs.glob("????????-*-????????????")])
        raise KeeperError("not understood")

    monkeypatch.setattr(link, "_parse", understand_nothing)
    with pytest.raises(SpawnError, match="not understood"):
        await shell("echo words")
    assert await anyio.to_thread.run_sync(keepers.left) == set()
    assert list(outputs.iterdir()) == []


async def test_on_a_full_disk_nothing_is_left_and_the_keeper_goes(
    full_disk: Any,
    spawner: Any,
    session: Session,
    shell: Any,
    end: Any,
    keeper_of: Any,
    tools: Any,
    outputs: Any,
) -> None:
    terminal = await shell("seq 100000")
    await end(terminal)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    assert list(outputs.iterdir()) == [full_disk]
    assert await spawner.recall(session) is None


async def test_a_keeper_that_no_host_asked_leaves_the_output_when_there_is_room_again(
    full_disk: Any,
    spawner: Any,
    session: Session,
    other: Any,
    shell: Any,
    keeper_of: Any,
    tools: Any,
) -> None:
    async with other(linger=1) as host:
        terminal = await shell("seq 9999", of=host)
        with anyio.fail_after(tools.patience):
            await terminal.drained()
        assert await host.recall(session) is None
        full_disk.unlink()
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    assert (await tools.everything(await spawner.recall(session))).endswith(b"9999\r\n")


async def test_a_process_runs_where_its_output_cannot_be_kept(
    spawner: Any, session: Session, shell: Any, end: Any, outputs: Any
) -> None:
    outputs.parent.mkdir(parents=True, exist_ok=True)
    outputs.write_text("a file in the place of the directory")
    terminal = await shell("echo words; exit 3")
    await end(terminal)
    assert await terminal.exited() == ExitStatus(code=3)
    assert await spawner.recall(session) is None


ABOUT = {
    "terminal": "t",
    "pid": 1,
    "exit": {"code": 0},
    "offset": 7,
    "sizes": [[0, 24, 80]],
}


def test_a_valid_output_file_is_parsed() -> None:
    left = KeptOutput.parse(json.dumps(ABOUT).encode() + b"\nfirst\nsecond")
    assert left is not None
    assert (left.offset, left.data) == (7, b"first\nsecond")
    assert (left.terminal, left.exit) == ("t", ExitStatus(code=0))


@pytest.mark.parametrize(
    "change",
    [
        {"offset": -1},
        {"offset": "x"},
        {"sizes": []},
        {"sizes": [[0, 0, 80]]},
        {"sizes": [[0, 24]]},
        {"exit": None},
        {"pid": None},
        {"terminal": 5},
    ],
)
def test_an_invalid_output_file_is_ignored(change: Any) -> None:
    assert KeptOutput.parse(json.dumps({**ABOUT, **change}).encode() + b"\ndata") is None


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"[]\n", b'{"terminal"'])
def test_an_output_file_with_an_invalid_header_is_ignored(content: Any) -> None:
    assert KeptOutput.parse(content) is None
