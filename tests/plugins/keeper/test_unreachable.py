"""Collecting from a keeper that cannot be reached: it stays where it can be found."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.model import Session
from frith_keeper.finding import Keepers
from frith_keeper.link import KeeperError
from frith_keeper.options import KeeperOptions


@pytest.fixture
async def ended(shell: Any, tools: Any) -> Any:
    terminal = await shell("exit 3")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    return terminal


@pytest.fixture(params=[errno.EMFILE, errno.EAGAIN], ids=errno.errorcode.get)
def unreachable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As with no descriptors left, or with a full backlog of the keeper's socket."""

    def connect(self: Keepers, name: str) -> None:
        raise OSError(request.param, os.strerror(request.param))

    with monkeypatch.context() as context:
        context.setattr(Keepers, "connect", connect)
        yield context


async def test_collecting_from_an_unreachable_keeper_fails_and_can_be_repeated(
    ended: Any, unreachable: Any, places: Path, keeper_of: Any, tools: Any
) -> None:
    before = sorted(os.listdir(places))
    with pytest.raises(KeeperError, match="cannot be reached"):
        await ended.collect()
    assert sorted(os.listdir(places)) == before
    unreachable.undo()
    await ended.collect()
    await anyio.to_thread.run_sync(tools.until_gone, keeper_of(ended))
    assert os.listdir(places) == []


async def test_files_of_an_unreachable_keeper_stay(
    ended: Any, unreachable: Any, places: Path, session: Session, tmp_path: Path
) -> None:
    before = sorted(os.listdir(places))
    with pytest.raises(KeeperError, match="cannot be reached"):
        Keepers(tmp_path, KeeperOptions()).clear(before[0])
    assert sorted(os.listdir(places)) == before


async def test_terminating_and_sweeping_work_with_an_unreachable_keeper(
    ended: Any,
    unreachable: Any,
    spawner: Any,
    session: Session,
    other: Any,
    places: Path,
) -> None:
    assert (await ended.terminate(0)).code == 3
    async with other() as host:
        assert (await host.sweep(session, 0)).ended == ()
    assert os.listdir(places) != []
