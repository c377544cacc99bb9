"""The output that a keeper leaves of its process."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import stat
import threading

import anyio
import pytest

from frith.errors import CommandNotFoundError, SpawnError
from frith.model import ExitStatus
from frith.ports import AttachMode, Resize, Size
from frith_keeper import greeting
from frith_keeper import spawner as spawner_module
from frith_keeper.ended import parse
from frith_keeper.errors import KeeperError
from frith_keeper.options import KeeperOptions
from frith_keeper.spawner import open_spawner
from waiting import wait_until

LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def outputs(places):
    """Where the keepers leave it."""
    return places.with_name("outputs")


@pytest.fixture
def end(tools):
    """Waits for the end of a terminal's process, and takes note of it."""

    async def end(terminal):
        with anyio.fail_after(tools.patience):
            await terminal.drained()
            await terminal.collect()

    return end


async def test_recalled_output_is_the_scrollback_at_its_offsets(
    spawner, session, other, shell, end
):
    async with other(scrollback=4096) as host:
        await end(await shell("seq 10000; echo last", of=host))
    written = b"".join(b"%d\r\n" % number for number in range(1, 10001)) + b"last\r\n"
    terminal = await spawner.recall(session)
    async with terminal.attach() as view:
        assert (view.offset, view.snapshot) == (len(written) - 4096, written[-4096:])
        assert [piece async for piece in view] == []
    async with terminal.attach(len(written) - 6, AttachMode.LOSSLESS) as view:
        assert view.snapshot == b"last\r\n"


async def test_a_recalled_terminal_has_the_exit_status_and_the_screen(spawner, session, shell, end):
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
    spawner, session, other, shell, tools
):
    async with other() as host:
        terminal = await shell("echo words; exit 3")
        with anyio.fail_after(tools.patience):
            await terminal.drained()
        assert await tools.everything(await host.recall(session)) == b"words\r\n"


async def test_output_can_be_recalled_after_the_keeper_was_killed(
    spawner, session, shell, tools, keeper_of
):
    terminal = await shell("echo words; exit 3")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    os.kill(keeper_of(terminal), signal.SIGKILL)
    assert await tools.everything(await spawner.recall(session)) == b"words\r\n"


async def test_the_next_process_removes_the_output(spawner, session, shell, end, tools):
    await end(await shell("echo words"))
    await tools.see(await shell("echo started; read line"), b"started")
    assert await spawner.recall(session) is None


async def test_recalled_output_is_whole_where_the_ring_has_wrapped(
    spawner, session, other, shell, end, tools
):
    async with other(scrollback=100_000) as host:
        await end(await shell("seq 30000", of=host))
    written = b"".join(b"%d\r\n" % number for number in range(1, 30001))
    assert await tools.everything(await spawner.recall(session)) == written[-100_000:]


async def test_output_can_be_recalled_after_the_workspace_was_moved(
    session, other, shell, record, tools, tmp_path, keeper_of
):
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
    spawner, session, shell, end, outputs
):
    await end(await shell("echo words"))
    (outputs / f"{session.id}.tmp").write_text("half")
    await spawner.forget(session.id)
    assert list(outputs.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_output_is_not_written_into_a_directory_of_another_user(
    spawner, session, shell, end, outputs, tmp_path
):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    outputs.mkdir(parents=True)
    (outputs / f"{session.id}.tmp").symlink_to(precious)
    os.chown(outputs, 65534, 65534)
    await end(await shell("echo words"))
    assert precious.read_text() == "precious"
    assert await spawner.recall(session) is None


async def test_output_is_not_written_through_a_link(
    spawner, session, shell, end, outputs, tmp_path
):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    terminal = await shell("read line; echo words")
    (outputs / f"{session.id}.tmp").symlink_to(precious)
    await terminal.write(b"\n")
    await end(terminal)
    assert precious.read_text() == "precious"


async def test_a_process_that_wrote_nothing_leaves_nothing(spawner, session, shell, end, outputs):
    await end(await shell("exit 0"))
    assert await spawner.recall(session) is None
    assert list(outputs.iterdir()) == []


async def test_output_of_a_terminated_process_can_be_recalled(spawner, session, shell, tools):
    terminal = await shell("echo ready; read line")
    await tools.see(terminal, b"ready")
    await terminal.terminate(0)
    assert await tools.everything(await spawner.recall(session)) == b"ready\r\n"


async def test_no_other_user_may_read_the_output(shell, end, session, outputs):
    await end(await shell("echo secret"))
    assert stat.S_IMODE(outputs.stat().st_mode) == 0o700
    assert stat.S_IMODE((outputs / session.id).stat().st_mode) == 0o600


async def test_a_command_that_cannot_be_started_leaves_the_previous_output(
    spawner, session, shell, request_for, end, tools
):
    await end(await shell("echo before"))
    with pytest.raises(CommandNotFoundError):
        await spawner.spawn(request_for("/nowhere/command"))
    assert await tools.everything(await spawner.recall(session)) == b"before\r\n"


async def test_a_keeper_that_no_host_asked_leaves_the_output(
    spawner, session, other, shell, record, keeper_of, tools
):
    async with other(linger=0.1) as host:
        terminal = await shell("echo last words; exit 7", of=host)
        recorded = record(terminal)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    adopted = await spawner.adopt(recorded)
    assert await tools.everything(adopted) == b"last words\r\n"
    await adopted.collect()
    assert await tools.everything(await spawner.recall(session)) == b"last words\r\n"


async def test_a_keeper_leaves_the_output_when_the_machine_shuts_down(
    spawner, session, shell, keeper_of, tools
):
    terminal = await shell("trap 'echo tidied; exit 4' HUP; echo ready; read line")
    await tools.see(terminal, b"ready")
    os.kill(keeper_of(terminal), signal.SIGTERM)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    assert b"tidied" in await tools.everything(await spawner.recall(session))


async def test_output_of_another_process_is_not_shown_for_an_ended_one(
    spawner, session, other, shell, record, keeper_of, tools, outputs
):
    async with other(linger=0) as host:
        terminal = await shell("echo words", of=host)
        recorded = record(terminal)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    left = (outputs / session.id).read_bytes()
    (outputs / session.id).write_bytes(left.replace(terminal.terminal_id.encode(), b"another"))
    assert await tools.everything(await spawner.adopt(recorded)) == b""


async def test_a_spawn_that_is_cancelled_leaves_nothing(
    shell, outputs, keepers, tools, monkeypatch
):
    started, cancelled = threading.Event(), threading.Event()

    def start_and_see(*args):
        greeted = start(*args)
        wait_until(lambda: greeted.ring.end)
        started.set()
        cancelled.wait(tools.patience)
        return greeted

    start = spawner_module.start
    monkeypatch.setattr(spawner_module, "start", start_and_see)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shell, "echo words; read line")
        await anyio.to_thread.run_sync(started.wait, tools.patience)
        tasks.cancel_scope.cancel()
        cancelled.set()
    assert await anyio.to_thread.run_sync(keepers.left) == set()
    assert list(outputs.iterdir()) == []


@pytest.fixture
def full_disk(outputs):
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
    shell, outputs, keepers, monkeypatch
):
    def understand_nothing(*_):
        wait_until(lambda: outputs.is_dir() and [*outputs.glob("????????-*-????????????")])
        raise KeeperError("not understood")

    monkeypatch.setattr(greeting, "_parse", understand_nothing)
    with pytest.raises(SpawnError, match="not understood"):
        await shell("echo words")
    assert await anyio.to_thread.run_sync(keepers.left) == set()
    assert list(outputs.iterdir()) == []


async def test_on_a_full_disk_nothing_is_left_and_the_keeper_goes(
    full_disk, spawner, session, shell, end, keeper_of, tools, outputs
):
    terminal = await shell("seq 100000")
    await end(terminal)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    assert list(outputs.iterdir()) == [full_disk]
    assert await spawner.recall(session) is None


async def test_a_keeper_that_no_host_asked_leaves_the_output_when_there_is_room_again(
    full_disk, spawner, session, other, shell, keeper_of, tools
):
    async with other(linger=1) as host:
        terminal = await shell("seq 9999", of=host)
        with anyio.fail_after(tools.patience):
            await terminal.drained()
        assert await host.recall(session) is None
        full_disk.unlink()
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    assert (await tools.everything(await spawner.recall(session))).endswith(b"9999\r\n")


async def test_a_process_runs_where_its_output_cannot_be_kept(
    spawner, session, shell, end, outputs
):
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


def test_a_valid_output_file_is_parsed():
    left = parse(json.dumps(ABOUT).encode() + b"\nfirst\nsecond")
    assert left.ring.newest() == (7, b"first\nsecond")
    assert (left.terminal_id, left.status) == ("t", ExitStatus(code=0))


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
def test_an_invalid_output_file_is_ignored(change):
    assert parse(json.dumps({**ABOUT, **change}).encode() + b"\ndata") is None


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"[]\n", b'{"terminal"'])
def test_an_output_file_with_an_invalid_header_is_ignored(content):
    assert parse(content) is None
