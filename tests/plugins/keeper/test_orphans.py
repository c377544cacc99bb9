"""A keeper listens where hosts find it, and ends where none ever can."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.model import Session
from frith_keeper import start as start_module
from frith_keeper.finding import Keepers, name_of
from frith_keeper.keeper_processes import find_keepers
from frith_keeper.options import KeeperOptions
from frith_testing.harness.samples import a_session
from waiting import until

ECHO = 'stty -echo; echo ready; while read -r line; do echo "got $line"; done'
HOST = Path(__file__).with_name("host.py")


def delete(repository: Path) -> None:
    """Delete it all: a keeper may make its socket anew before the last directory is gone."""
    while repository.exists():
        shutil.rmtree(repository, ignore_errors=True)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The directory without which no host finds a keeper, at which it looks very often here."""
    monkeypatch.setattr(start_module, "_LOOK", 0.02)
    path = tmp_path / ".git"
    path.mkdir()
    return path


@pytest.fixture
def places(repository: Any) -> Any:
    return repository / "frith" / "keepers"


def path_of(places: Path, terminal: Any) -> Any:
    return places / name_of(terminal.session_id, terminal.ref["terminal"])


def is_found(workspace: Any, name: Any) -> Any:
    try:
        Keepers(workspace, KeeperOptions()).connect(name).close()
    except OSError:
        return False
    return True


def without_socket(path: Any) -> None:
    path.unlink()


def without_directory(path: Any) -> None:
    shutil.rmtree(path.parent)


def with_another_directory(path: Any) -> None:
    path.parent.rename(path.parent.with_name("aside"))
    path.parent.mkdir()


def with_a_file(path: Any) -> None:
    path.unlink()
    path.write_text("something else")


def with_a_stale_socket(path: Any) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        directory = os.open(path.parent, os.O_PATH)
        stale.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)


@pytest.mark.parametrize(
    "change",
    [without_socket, without_directory, with_another_directory, with_a_file, with_a_stale_socket],
)
async def test_a_keeper_listens_again_when_its_socket_was_removed(
    shell: Any, places: Path, tmp_path: Path, change: Any
) -> None:
    terminal = await shell(ECHO)
    path = path_of(places, terminal)
    change(path)
    await until(lambda: is_found(tmp_path, path.name))
    assert places.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "script",
    ["sleep 100", "trap '' HUP; echo ready; sleep 100; sleep 100", "set -m; sleep 100 & sleep 100"],
    ids=["that ends when it is hung up", "that ignores that", "with jobs in other groups"],
)
async def test_a_keeper_ends_with_its_process_when_the_repository_is_deleted(
    shell: Any, repository: Any, keepers: Any, script: Any
) -> None:
    await shell(script)
    delete(repository)
    assert await anyio.to_thread.run_sync(keepers.left) == set()


async def test_a_keeper_of_an_ended_process_ends_when_the_repository_is_deleted(
    shell: Any, repository: Any, keepers: Any, tools: Any
) -> None:
    terminal = await shell("exit 3")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    assert keepers.living()
    delete(repository)
    assert await anyio.to_thread.run_sync(keepers.left) == set()


async def test_a_keeper_leaves_nothing_in_a_repository_that_replaces_its_own(
    shell: Any, repository: Any, keepers: Any
) -> None:
    await shell("sleep 100")
    delete(repository)
    for name in ("keepers", "outputs"):
        (repository / "frith" / name).mkdir(parents=True)
    assert await anyio.to_thread.run_sync(keepers.left) == set()
    assert [path for path in repository.rglob("*") if not path.is_dir()] == []


async def test_a_keeper_listens_where_its_repository_was_moved_to(
    shell: Any, repository: Any, places: Path, tools: Any
) -> None:
    terminal = await shell(ECHO)
    moved = repository.rename(repository.with_name("moved"))
    path = moved / path_of(places, terminal).relative_to(repository)
    path.unlink()
    await until(path.is_socket)
    await terminal.write(b"more\n")
    await tools.see(terminal, b"got more")
    moved.rename(repository)


def taken_by_a_directory(path: Any, terminal: Any) -> None:
    path.unlink()
    path.mkdir()


def without_a_place(path: Any, terminal: Any) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("")


def stopped(path: Any, terminal: Any) -> None:
    os.kill(int(str(terminal.ref["keeper"])), signal.SIGSTOP)


@pytest.mark.parametrize("change", [taken_by_a_directory, without_a_place, stopped])
async def test_a_keeper_that_does_not_answer_is_listed_and_swept(
    shell: Any,
    other: Any,
    session: Session,
    places: Path,
    keepers: Any,
    monkeypatch: pytest.MonkeyPatch,
    change: Any,
) -> None:
    monkeypatch.setattr("frith_keeper.finding._FOUND_AGAIN", 0.1)
    terminal = await shell(ECHO)
    change(path_of(places, terminal), terminal)
    async with other(answer_timeout=0.1) as host:
        kept = await host.kept()
    assert kept.keys() == {session.id}
    async with other() as host:
        await host.sweep(session, 0)
    assert await anyio.to_thread.run_sync(keepers.left) == set()


async def test_a_keeper_of_another_copy_of_the_workspace_is_not_listed(
    shell: Any, opened: Any, tmp_path: Path
) -> None:
    await shell(ECHO)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / ".git", copy / ".git", ignore=lambda *_: ["keepers"])
    assert list(Keepers(copy, KeeperOptions()).names()) == []
    assert find_keepers(str(copy / ".git")) == {}
    assert len(find_keepers(str(tmp_path / ".git"))) == 1


async def test_collecting_ends_a_keeper_whose_socket_was_replaced(
    shell: Any, places: Path, keepers: Any, monkeypatch: pytest.MonkeyPatch, tools: Any
) -> None:
    monkeypatch.setattr(start_module, "_LOOK", 1000.0)
    terminal = await shell("exit 3")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    with_a_file(path_of(places, terminal))
    await terminal.collect()
    assert await anyio.to_thread.run_sync(keepers.left) == set()


async def test_a_keeper_that_a_process_of_another_session_started_outlives_it(
    shell: Any, other: Any, session: Session, tmp_path: Path, tools: Any
) -> None:
    inner = a_session()
    script = f"exec {sys.executable} {HOST} {tmp_path} {inner.id} 'echo ready; sleep 100'"
    outer = await shell(script)
    await tools.see(outer, b"keeperStart")
    async with other() as host:
        started = (await host.kept())[inner.id]
        await outer.terminate(0)
        await host.sweep(session, 0)
        assert (await host.kept()) == {inner.id: started}
        os.kill(started, 0)
        await host.sweep(inner, 0)
