"""Where the locks lie, and which files and names are refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from frith.config import ManagerConfig
from frith.errors import ConfigurationError, StoreError
from frith.model import Changes
from frith.providers import Capability, Role
from frith_json import content, frith_providers
from frith_json import store as store_module
from frith_json.options import CAN_WATCH, JsonOptions
from frith_json.places import Places
from frith_json.store import JsonStore
from frith_testing.harness.opening import Context
from state_files import MakeSession, OpenStore

NAME = ".claude-container-sessions.json"


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


def test_locks_lie_in_the_git_directory(workspace: Path) -> None:
    places = Places.of(workspace, NAME)
    assert places.lock == f"{workspace}/.git/frith/{NAME}.lock"
    assert places.claims == f"{workspace}/.git/frith/claims"


def test_a_linked_worktree_as_workspace_shares_nothing_with_the_main_one(
    tmp_path: Path, new_repository: Any
) -> None:
    main, linked = new_repository(tmp_path / "main"), tmp_path / "linked"
    git("-C", str(main), "worktree", "add", "-q", str(linked))
    places = Places.of(linked, NAME)
    assert places.lock == f"{main}/.git/worktrees/linked/frith/{NAME}.lock"


def test_locks_of_a_separate_git_directory_lie_there(tmp_path: Path) -> None:
    git("init", "-q", "--separate-git-dir", str(tmp_path / "elsewhere"), str(tmp_path / "ws"))
    places = Places.of(tmp_path / "ws", NAME)
    assert places.lock == f"{tmp_path}/elsewhere/frith/{NAME}.lock"


def test_locks_of_a_bare_repository_lie_in_it(tmp_path: Path) -> None:
    git("init", "-q", "--bare", str(tmp_path / "bare"))
    places = Places.of(tmp_path / "bare", NAME)
    assert places.lock == f"{tmp_path}/bare/frith/{NAME}.lock"


@pytest.mark.parametrize("content", [None, "", "gitdir: /nowhere\n", "x gitdir: ..\n"])
def test_without_a_repository_locks_lie_beside_the_file(tmp_path: Path, content: Any) -> None:
    if content is not None:
        (tmp_path / ".git").write_text(content)
    assert Places.of(tmp_path, NAME).lock == f"{tmp_path}/.frith/{NAME}.lock"


def test_locks_of_a_file_outside_the_workspace_lie_beside_it(
    workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (tmp_path / "x.json", tmp_path / "link" / "x.json"):
        places = Places.of(workspace, str(path))
        assert places.lock == f"{tmp_path}/.frith/x.json.lock"


def test_each_file_has_its_own_lock(workspace: Path) -> None:
    files = ["a.json", "b.json", "sub/a.json", "sub%2Fa.json"]
    assert len({Places.of(workspace, file).lock for file in files}) == len(files)


async def test_a_file_of_another_name_is_used(
    open_store: OpenStore, workspace: Path, make: MakeSession
) -> None:
    async with open_store(file="state") as store:
        await store.transact(lambda _: Changes(put=(make(),)))
    assert sorted(path.name for path in workspace.iterdir()) == [".git", "state"]


async def test_a_git_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / ".git").write_text("gitdir: x")
    (tmp_path / ".git").chmod(0)
    with pytest.raises(StoreError):
        async with JsonStore.opened(tmp_path, JsonOptions()):
            pass


@pytest.mark.parametrize("file", ["", ".", "..", "../x", "a/../../x", "/", "x.tmp", "x.lock", "\0"])
def test_a_name_that_is_no_file_is_a_configuration_error(tmp_path: Path, file: str) -> None:
    config = ManagerConfig.of(workspace=tmp_path, options={"store": {"json": {"file": file}}})
    with pytest.raises(ConfigurationError) as caught:
        config.section("store", "json", JsonOptions)
    assert caught.value.key == "options.store.json.file"


@pytest.mark.parametrize("option", ["lock_timeout", "write_timeout"])
def test_a_timeout_must_be_positive(tmp_path: Path, option: str) -> None:
    config = ManagerConfig.of(workspace=tmp_path, options={"store": {"json": {option: 0}}})
    with pytest.raises(ConfigurationError):
        config.section("store", "json", JsonOptions)


async def test_a_file_too_large_is_refused_unread(
    open_store: OpenStore, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "MAX_SIZE", 1 << 20)
    with state.open("wb") as file:
        file.truncate((1 << 20) + 1)
    async with open_store() as store:
        with pytest.raises(StoreError, match="larger than 1 MiB"):
            await store.load()


@pytest.mark.requirement("R5.2")
async def test_a_missing_directory_is_not_a_missing_file(
    open_store: OpenStore, state: Path, tmp_path: Path
) -> None:
    state.symlink_to(tmp_path / "not mounted" / "sessions.json")
    async with open_store() as store:
        with pytest.raises(StoreError, match="not a directory"):
            await store.load()


async def test_a_directory_that_may_not_be_written_is_an_error(
    open_store: OpenStore, workspace: Path, make: MakeSession
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    workspace.chmod(0o500)
    try:
        async with open_store() as store:
            with pytest.raises(StoreError, match="Cannot write"):
                await store.transact(lambda _: Changes(put=(make(),)))
    finally:
        workspace.chmod(0o700)


@pytest.mark.parametrize("strange", ["with space", "with\nnewline", "with ü", os.fsdecode(b"\xff")])
async def test_a_workspace_of_any_name_works(
    tmp_path: Path, make: MakeSession, strange: str
) -> None:
    workspace = tmp_path / strange
    (workspace / ".git").mkdir(parents=True)
    async with JsonStore.opened(workspace, JsonOptions()) as store:
        session = make(worktreePath=str(workspace / ".worktrees"))
        await store.transact(lambda _: Changes(put=(session,)))
        async with store.claim(session.id):
            pass
    async with JsonStore.opened(workspace, JsonOptions()) as store:
        assert (await store.load()).sessions == {session.id: session}


async def test_a_relative_git_file_of_any_bytes_is_followed(tmp_path: Path) -> None:
    home = tmp_path / os.fsdecode(b"\xff home")
    home.mkdir()
    workspace = tmp_path / "ws"
    workspace.mkdir()
    (workspace / ".git").write_bytes(b"gitdir: ../\xff home\n")
    assert Places.of(workspace, NAME).lock == f"{home}/frith/{NAME}.lock"


async def test_the_provider_opens_a_store(workspace: Path, make: MakeSession) -> None:
    (spec,) = frith_providers()
    assert (spec.role, spec.name, spec.config) == (Role.STORE, "json", JsonOptions)
    assert (Capability.WATCH in spec.capabilities) == CAN_WATCH
    async with spec.factory(JsonOptions(), Context(workspace)) as store:
        assert isinstance(store, store_module.JsonStore)
        await store.transact(lambda _: Changes(put=(make(),)))
