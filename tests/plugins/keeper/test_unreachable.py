"""Collecting from a keeper that cannot be reached: it stays where it can be found."""

from __future__ import annotations

import errno
import os

import anyio
import pytest

from frith_keeper.errors import KeeperError
from frith_keeper.places import KeeperFiles


@pytest.fixture
async def ended(shell, tools):
    terminal = await shell("exit 3")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    return terminal


@pytest.fixture(params=[errno.EMFILE, errno.EAGAIN], ids=errno.errorcode.get)
def unreachable(request, monkeypatch):
    """As with no descriptors left, or with a full backlog of the keeper's socket."""

    def connect(self, name):
        raise OSError(request.param, os.strerror(request.param))

    with monkeypatch.context() as context:
        context.setattr(KeeperFiles, "connect", connect)
        yield context


async def test_collecting_from_an_unreachable_keeper_fails_and_can_be_repeated(
    ended, unreachable, places, keeper_of, tools
):
    before = sorted(os.listdir(places))
    with pytest.raises(KeeperError, match="cannot be reached"):
        await ended.collect()
    assert sorted(os.listdir(places)) == before
    unreachable.undo()
    await ended.collect()
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(ended))
    assert os.listdir(places) == []


async def test_files_of_an_unreachable_keeper_stay(ended, unreachable, places, session, tmp_path):
    before = sorted(os.listdir(places))
    with pytest.raises(KeeperError, match="cannot be reached"):
        KeeperFiles(tmp_path, None).clear(before[0])
    assert sorted(os.listdir(places)) == before


async def test_terminating_and_sweeping_work_with_an_unreachable_keeper(
    ended, unreachable, spawner, session, other, places
):
    assert (await ended.terminate(0)).code == 3
    async with other() as host:
        assert (await host.sweep(session, 0)).ended == ()
    assert os.listdir(places) != []
