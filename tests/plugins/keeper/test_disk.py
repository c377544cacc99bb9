"""A full disk when the exit status of a process is to be written."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.model import ExitStatus

LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small_disk(places: Path) -> Any:
    """A file system where the keepers are found, on which a page is all that is left."""
    places.mkdir(mode=0o700, parents=True)
    if os.geteuid() or LIBC.mount(b"tmpfs", os.fsencode(places), b"tmpfs", 0, b"size=64k"):
        pytest.skip(f"this machine lets nobody mount: {os.strerror(ctypes.get_errno())}")
    yield places
    # Lazily: a keeper that is just leaving may be in there.
    LIBC.umount2(os.fsencode(places), 2)


def fill(places: Path) -> None:
    with (places / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


async def test_with_a_full_disk_a_keeper_waits_to_report_the_exit(
    small_disk: Any, spawner: Any, other: Any, shell: Any, record: Any, tools: Any
) -> None:
    async with other() as first:
        terminal = await shell("read line; echo last words; exit 9", of=first)
        recorded = record(terminal)
        fill(small_disk)
        await terminal.write(b"\n")
        with anyio.fail_after(tools.patience):
            assert await terminal.exited() == ExitStatus(code=9)
            await terminal.drained()
    async with other() as second:
        again = await second.adopt(recorded)
        assert await again.exited() == ExitStatus(code=9)
        assert (await tools.everything(again)).endswith(b"last words\r\n")
        await again.collect()
        assert await second.adopt(recorded) is None
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


async def test_a_keeper_writes_the_exit_when_there_is_room_again(
    small_disk: Any,
    spawner: Any,
    other: Any,
    shell: Any,
    record: Any,
    tools: Any,
    keeper_of: Any,
) -> None:
    async with other() as first:
        terminal = await shell("read line; exit 9", of=first)
        recorded = record(terminal)
        fill(small_disk)
        await terminal.write(b"\n")
        with anyio.fail_after(tools.patience):
            await terminal.drained()
        assert not list(small_disk.glob("*.exit"))
        (small_disk / "ballast").unlink()
    os.kill(keeper_of(terminal), signal.SIGTERM)
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(terminal))
    async with other() as second:
        again = await second.adopt(recorded)
        assert await again.exited() == ExitStatus(code=9)
        await again.collect()
    assert list(small_disk.iterdir()) == []
