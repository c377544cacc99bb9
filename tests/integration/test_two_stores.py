"""Two stores of one workspace: the second is refused before it rebuilds anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from frith import ManagerConfig, SessionManager
from frith.errors import StoreMismatchError


def opened(workspace: Path, file: str, *, restore: bool = True) -> SessionManager:
    options = {"store": {"json": {"file": file}}}
    config = ManagerConfig(workspace=workspace, options=options, command=("sleep", "60"))
    return SessionManager(config, restore=restore)


@pytest.mark.parametrize("restore", [True, False])
async def test_a_host_with_another_state_file_is_refused(workspace: Path, restore: bool) -> None:
    async with opened(workspace, "one.json") as manager:
        session = await manager.create_session("login")
        with pytest.raises(StoreMismatchError) as caught:
            async with opened(workspace, "two.json", restore=restore):
                pass
        assert (caught.value.bound, caught.value.configured) == ("json:one.json", "json:two.json")
        assert not (workspace / "two.json").exists()
        assert manager.get_session(session.id) == session


async def test_a_state_file_with_an_absolute_path_is_the_same_store(workspace: Path) -> None:
    async with opened(workspace, "one.json") as manager:
        await manager.create_session("login", start=False)
    async with opened(workspace, str(workspace / "one.json")) as manager:
        assert [session.name for session in manager.get_all_sessions()] == ["login"]


async def test_a_moved_workspace_keeps_its_store(workspace: Path) -> None:
    async with opened(workspace, "one.json") as manager:
        await manager.create_session("login", start=False)
    moved = workspace.rename(workspace.with_name("moved"))
    async with opened(moved, "one.json") as manager:
        assert [session.name for session in manager.get_all_sessions()] == ["login"]


async def test_a_workspace_at_a_symbolic_link_has_the_same_store(
    workspace: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(workspace)
    async with opened(workspace, "one.json") as manager:
        await manager.create_session("login", start=False)
    for path, file in ((link, workspace / "one.json"), (workspace, link / "one.json")):
        async with opened(path, str(file)) as manager:
            assert [session.name for session in manager.get_all_sessions()] == ["login"]
