"""Letting a keeper go that cannot be reached just now: it stays where it can be found."""

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


async def test_whoever_collects_is_told_and_can_try_again(
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


async def test_what_is_there_is_not_cleared(ended, unreachable, places, session, tmp_path):
    before = sorted(os.listdir(places))
    with pytest.raises(KeeperError, match="cannot be reached"):
        KeeperFiles(tmp_path, None).clear(before[0])
    assert sorted(os.listdir(places)) == before


async def test_terminating_and_sweeping_end_the_process_all_the_same(
    ended, unreachable, spawner, session, other, places
):
    assert (await ended.terminate(0)).code == 3
    async with other() as host:
        assert (await host.sweep(session, 0)).ended == ()
    assert os.listdir(places) != []
