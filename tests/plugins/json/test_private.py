"""Other users can neither read what is stored nor hold the locks."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from frith.errors import StoreError
from frith.model import Changes
from frith_os.locks import FileLock
from state_files import MakeSession, OpenStore

OWNER = 12345


Use: TypeAlias = Callable[[], Awaitable[None]]


def modes(*roots: Path) -> set[tuple[str, int]]:
    found = [path for root in roots for path in (root, *root.rglob("*"))]
    return {("d" if p.is_dir() else "f", stat.S_IMODE(p.stat().st_mode)) for p in found}


@pytest.fixture
def use(open_store: OpenStore, make: MakeSession) -> Use:
    """Uses everything that a store makes."""

    async def use() -> None:
        async with open_store() as store:
            session = make()
            async with store.claim(session.id):
                await store.transact(lambda _: Changes(put=(session,)))

    return use


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777], ids=oct)
async def test_state_locks_and_claims_are_private_whatever_the_umask(
    use: Use, workspace: Path, state: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        await use()
    finally:
        os.umask(before)
    assert modes(state, workspace / ".git" / "frith") == {("f", 0o600), ("d", 0o700)}


async def test_locks_and_claims_that_others_could_open_become_private(
    use: Use, open_store: OpenStore, workspace: Path, make: MakeSession
) -> None:
    await use()
    ours = workspace / ".git" / "frith"
    for path in (ours, *ours.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (claim,) = (ours / "claims").iterdir()
    async with open_store() as store, store.claim(claim.name):
        await store.transact(lambda _: Changes(put=(make(),)))
        assert modes(ours) == {("f", 0o600), ("d", 0o700)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_files_that_root_makes_belong_to_the_owner_of_the_workspace(
    use: Use, workspace: Path, state: Path
) -> None:
    for path in (workspace, workspace / ".git"):
        os.chown(path, OWNER, OWNER)
    for _ in range(2):
        await use()
        assert {path.stat().st_uid for path in (state, *workspace.rglob("*"))} == {OWNER}
        os.chown(state, 0, 0)  # as an older version has left it


async def test_the_error_for_a_lock_file_of_another_user_says_so(
    open_store: OpenStore, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: FileLock) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", lock.path)

    monkeypatch.setattr(FileLock, "_opened", refuse)
    async with open_store() as store:
        with pytest.raises(StoreError, match="Another user created it: change its owner to that"):
            await store.transact(lambda _: Changes(put=(make(),)))
