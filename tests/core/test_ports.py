"""The ports: what they refuse by default, and what a wrapping store passes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from frith._flows import terminals as identity
from frith.errors import UnsupportedCapabilityError
from frith.model import Changes
from frith.ports import (
    DiffScope,
    Holder,
    SessionStore,
    TerminalSpawner,
    WorkspaceProvider,
    WrappedStore,
)

from .fakes import FakeSpawner, FakeStore, FakeWorkspace
from .world import World, a_session


class PlainStore(FakeStore):
    """A store without any optional ability."""

    holder_info = SessionStore.holder_info
    replace_corrupt = SessionStore.replace_corrupt
    watch = SessionStore.watch


class PlainWorkspace(FakeWorkspace):
    """A workspace without any optional ability."""

    changed_files = WorkspaceProvider.changed_files
    diff = WorkspaceProvider.diff


def test_a_store_that_does_not_watch_says_so(world: World) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="PlainStore does not support 'watch'"):
        PlainStore(world).watch()


async def test_a_store_that_does_not_repair_says_so(world: World) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="'repair'"):
        await PlainStore(world).replace_corrupt("token", world.snapshot)


async def test_a_store_need_not_describe_the_holder_of_a_claim(world: World) -> None:
    assert await PlainStore(world).holder_info(a_session().id) == ""


async def test_a_spawner_that_does_not_adopt_says_so(world: World) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="'adopt'") as refused:
        await FakeSpawner(world).adopt(a_session())
    assert (refused.value.provider, refused.value.capability) == ("FakeSpawner", "adopt")


async def test_a_workspace_that_shows_no_changes_says_so(world: World) -> None:
    workspace = PlainWorkspace(world)
    with pytest.raises(UnsupportedCapabilityError, match="PlainWorkspace does not support 'diff'"):
        await workspace.changed_files(a_session(), DiffScope.BRANCH)
    with pytest.raises(UnsupportedCapabilityError, match="'diff'"):
        await workspace.diff(a_session(), DiffScope.BRANCH, limit=1)
    with pytest.raises(UnsupportedCapabilityError, match="'branches'"):
        await workspace.branches()


@pytest.mark.parametrize("port", [SessionStore, TerminalSpawner])
def test_a_port_cannot_be_instantiated(port: type[Any]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        port()


async def test_a_wrapping_store_hands_everything_on(world: World) -> None:
    inner = FakeStore(world)
    store = WrappedStore(inner)
    session = a_session()
    world.holder_info = "process 42"
    committed = await store.transact(lambda _: Changes(put=(session,)))
    assert committed.snapshot.sessions == (await store.load()).sessions == {session.id: session}
    async with store.claim(session.id) as claim:
        assert claim.session_id == session.id
        assert await store.holder(session.id) is Holder.HELD
        assert await store.holder_info(session.id) == world.holder_info
    assert (await store.replace_corrupt("token", world.snapshot)).revision == committed.revision
    assert store.watch().__class__ is inner.watch().__class__


def test_a_process_knows_who_it_is_as_far_as_its_platform_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert identity.this_process() is identity.this_process()

    def unreadable(self: Path, **_: Any) -> str:
        raise FileNotFoundError(self)

    identity._identity_of.cache_clear()
    monkeypatch.setattr(Path, "read_text", unreadable)
    owner = identity.this_process()
    assert owner.pid
    assert (owner.start_time, owner.boot_id) == (None, None)
    identity._identity_of.cache_clear()
