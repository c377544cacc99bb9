"""What the manager asks of the workspace about changes and branches."""

from __future__ import annotations

from typing import Any, cast

import pytest

from frith.errors import ProviderFailedError, SessionNotFoundError, UnsupportedCapabilityError
from frith.ports import ChangedFile, Diff, DiffScope, FileChange

from .managers import manager
from .world import World, a_session


async def test_changes_are_those_since_branching_unless_asked_otherwise(world: World) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    async with manager(world) as m:
        found = ChangedFile(f"in {session.branch}", FileChange.MODIFIED)
        assert await m.changed_files(session.id) == (found,)
        assert await m.changed_files(session.id, cast(Any, "staged")) == (found,)
        assert (await m.diff(session.id)).content == f"{session.branch}: ".encode()
        cut = await m.diff(session.id, DiffScope.UNTRACKED, paths=["a", "b"], limit=3)
        assert cut == Diff(session.branch[:3].encode(), is_cut=True)
    steps = [call for call in world.calls if call.startswith(("changed", "diff"))]
    assert steps == [
        "changed files branch",
        "changed files staged",
        "diff branch",
        "diff untracked",
    ]


async def test_an_unknown_scope_is_refused(world: World) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    async with manager(world) as m:
        with pytest.raises(ValueError, match="everything"):
            await m.changed_files(session.id, cast(Any, "everything"))
        with pytest.raises(ValueError, match="everything"):
            await m.diff(session.id, cast(Any, "everything"))


async def test_changes_of_an_unknown_session_are_refused(world: World) -> None:
    async with manager(world) as m:
        with pytest.raises(SessionNotFoundError):
            await m.changed_files(a_session().id)
        with pytest.raises(SessionNotFoundError):
            await m.diff(a_session().id)


async def test_a_workspace_that_lists_no_branches_says_so(world: World) -> None:
    async with manager(world) as m:
        with pytest.raises(UnsupportedCapabilityError, match="'branches'"):
            await m.branches()


async def test_a_failure_of_the_workspace_names_the_session_and_the_provider(world: World) -> None:
    session = world.inhabit(a_session("one"))
    world.write(session)
    world.faults["diff branch"] = [RuntimeError("broken")]
    async with manager(world) as m:
        with pytest.raises(ProviderFailedError, match=r"workspace provider 'fake' failed.*broken"):
            await m.diff(session.id)
