"""The process from which keepers are forked: it ends with its host, and can be replaced."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from frith_keeper import zygote as zygote_module
from frith_os.processes import stat_of
from frith_os.pty import wire
from waiting import pass_time, until

MANY = 20


def parent_of(pid: int) -> int:
    stat = stat_of(pid)
    assert stat is not None
    return stat.parent


def named(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def is_gone(pid: int) -> bool:
    stat = stat_of(pid)
    return stat is None or stat.state == "Z"


async def ended(terminal: Any, tools: Any) -> None:
    with anyio.fail_after(tools.patience):
        await terminal.terminate(0)


async def test_keepers_of_one_host_are_forked_from_one_process(
    shell: Any, keeper_of: Any, tools: Any
) -> None:
    keepers = [keeper_of(await shell("read line")) for _ in range(3)]
    (zygote,) = {parent_of(keeper) for keeper in keepers}
    assert named(zygote) == "frith-zygote"
    assert parent_of(zygote) == os.getpid()
    assert len({os.getpgid(pid) for pid in (*keepers, zygote, os.getpid())}) == 5


async def test_a_zygote_ends_with_its_provider_and_its_keepers_go_on(
    other: Any, shell: Any, keeper_of: Any, tools: Any, record: Any, spawner: Any
) -> None:
    async with other() as host:
        terminal = await shell("echo ready; read line; echo got $line", of=host)
        zygote = parent_of(keeper_of(terminal))
    assert is_gone(zygote)
    again = await spawner.adopt(record(terminal))
    await again.write(b"more\n")
    await tools.see(again, b"got more")


async def test_a_zygote_ends_with_its_host(start_host: Any, tools: Any) -> None:
    host = start_host("echo ready; read line")
    zygote = parent_of(host.keeper)
    assert named(zygote) == "frith-zygote"
    host.process.kill()
    await anyio.to_thread.run_sync(tools.until_gone, zygote)
    assert not is_gone(host.keeper)


async def test_a_zygote_has_nothing_of_its_host_and_its_keepers_nothing_of_it(
    shell: Any, keeper_of: Any
) -> None:
    keepers = [keeper_of(await shell("read line")) for _ in range(2)]
    zygote = parent_of(keepers[0])
    links = [os.readlink(fd) for fd in Path(f"/proc/{zygote}/fd").iterdir()]
    kinds = sorted(link.partition(":")[0] for link in links)
    assert kinds == [*["/dev/null"] * 3, "anon_inode", "socket"]
    (connection,) = (link for link in links if link.startswith("socket:"))
    for keeper in keepers:
        assert connection not in [os.readlink(fd) for fd in Path(f"/proc/{keeper}/fd").iterdir()]
    assert os.readlink(f"/proc/{zygote}/cwd") == "/"


async def test_a_zygote_that_was_killed_is_replaced(shell: Any, keeper_of: Any) -> None:
    first = parent_of(keeper_of(await shell("read line")))
    os.kill(first, signal.SIGKILL)
    second = parent_of(keeper_of(await shell("read line")))
    assert first != second
    assert named(second) == "frith-zygote"


async def test_a_zygote_that_hangs_is_replaced_and_serves_the_request_no_more(
    shell: Any, keeper_of: Any, keepers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = parent_of(keeper_of(await shell("read line")))
    os.kill(first, signal.SIGSTOP)
    monkeypatch.setattr(zygote_module, "_WITHIN", 0.5)
    await shell("read line")
    assert is_gone(first)
    assert len(keepers.living()) == 2


async def test_a_request_that_was_taken_back_starts_nothing(
    spawner: Any, shell: Any, keeper_of: Any, keepers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    zygote = parent_of(keeper_of(await shell("read line")))
    process = spawner._zygote._process
    os.kill(zygote, signal.SIGSTOP)
    with monkeypatch.context() as patch, zygote_module._memory(b"{}") as request:
        patch.setattr(zygote_module, "_WITHIN", 0.1)
        assert process.fork(request) is None
        with pytest.raises(PermissionError):
            wire.take(request)
    os.kill(zygote, signal.SIGCONT)
    assert parent_of(keeper_of(await shell("read line"))) == zygote
    assert len(keepers.living()) == 2


async def test_a_zygote_may_be_killed_at_any_moment(
    shell: Any, keeper_of: Any, keepers: Any, spawner: Any
) -> None:
    moments = Random(0)

    def kill() -> None:
        pass_time(moments, 0.05)
        if (process := spawner._zygote._process) is not None:
            with suppress(OSError):  # it is being replaced
                process._handle.signal(signal.SIGKILL)

    started = []
    for _ in range(MANY):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, kill)
            started.append(await shell("read line"))
    assert {keeper_of(terminal) for terminal in started} == keepers.living()


async def test_keepers_that_have_ended_are_reaped(shell: Any, keeper_of: Any, tools: Any) -> None:
    stays = await shell("read line")
    zygote = parent_of(keeper_of(stays))
    for _ in range(3):
        await ended(await shell("exit 3"), tools)
    children = Path(f"/proc/{zygote}/task/{zygote}/children")
    await until(lambda: children.read_text().split() == [str(keeper_of(stays))])


@contextmanager
def another_umask() -> Iterator[None]:
    before = os.umask(0o037)
    yield
    os.umask(before)


@contextmanager
def another_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("change", "script", "answer"),
    [(another_umask, "umask", b"0037"), (another_limit, "ulimit -f", b"2097152")],
)
async def test_a_command_has_what_its_host_has_when_it_starts(
    shell: Any, tools: Any, change: Any, script: str, answer: bytes
) -> None:
    assert answer not in await tools.everything(await shell(script))
    with change():
        terminal = await shell(script)
    assert answer in await tools.everything(terminal)
    assert answer not in await tools.everything(await shell(script))


async def test_a_provider_that_is_closed_starts_no_zygote(opened: Any, shell: Any) -> None:
    async with opened() as host:
        pass
    with pytest.raises(OSError, match="closed"):
        host._zygote.fork(b"{}")
