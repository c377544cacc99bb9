"""File systems whose locks keep no other machine out are refused, unless told where to lock."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from frith.config import ManagerConfig
from frith.errors import ConfigurationError
from frith.model import Changes
from frith_json import mounts
from frith_json.mounts import UnsharedLocksError, mount_of
from frith_json.options import JsonOptions
from frith_json.places import Places
from state_files import MakeSession, OpenStore
from waiting import TO_RUN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts are told by proc(5)")

MOUNTINFO = "1 0 8:1 / / rw - ext4 /dev/sda rw\n{id} 1 0:9 / /mnt {mount} shared:3 - {rest}\n"


Mounted: TypeAlias = Callable[..., None]


@pytest.fixture
def mounted(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Mounted:
    """Have the workspace lie on a file system that is mounted as the kernel would tell it."""

    def mounted(kind: str, options: str = "rw", mount: str = "rw,relatime") -> None:
        text = MOUNTINFO.format(id=4321, mount=mount, rest=f"{kind} host:/ {options}")
        told = {"/proc/self/mountinfo": text}
        monkeypatch.setattr(
            mounts, "read_about", lambda path: told.get(path, "pos:\t0\nmnt_id:\t4321\n")
        )

    return mounted


@pytest.mark.parametrize(("path", "kind"), [("/proc/none/x", "proc"), ("/dev/pts/x", "devpts")])
def test_the_kernel_tells_what_is_mounted(path: Any, kind: str) -> None:
    if not os.path.ismount(os.path.dirname(path)) and path.startswith("/dev"):
        pytest.skip("not mounted here")
    mount = mount_of(path)
    assert mount is not None
    assert mount[0] == kind
    assert "rw" in mount[1]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("9p", "rw"),
        ("fuse.sshfs", "rw,user_id=0"),
        ("nfs4", "rw,vers=4.2,local_lock=all"),
        ("nfs", "rw,nolock"),
        ("nfs", "rw,local_lock=flock"),
        ("cifs", "rw,nobrl"),
        ("lustre", "rw,localflock"),
    ],
)
async def test_locks_that_do_not_reach_other_machines_are_refused(
    mounted: Mounted, open_store: OpenStore, workspace: Path, kind: str, options: Any
) -> None:
    mounted(kind, options)
    with pytest.raises(UnsharedLocksError, match=r"options\.store\.json\.locks") as refused:
        async with open_store():
            pass
    assert refused.value.code == "STORE_LOCKS_UNSHARED"
    assert kind in refused.value.reason
    assert list((workspace / ".git").iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ext4", "rw"),
        ("nfs4", "rw,vers=4.2,local_lock=none"),
        ("nfs", "rw,local_lock=posix"),
        ("cifs", "rw,vers=3.1.1"),
        ("virtiofs", "rw"),
        ("overlay", "rw"),
    ],
)
async def test_locks_that_reach_all_are_accepted(
    mounted: Mounted, open_store: OpenStore, kind: str, options: Any, make: MakeSession
) -> None:
    mounted(kind, options)
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))


async def test_an_unknown_file_system_is_accepted(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: str) -> str:
        raise FileNotFoundError(errno.ENOENT, "no proc")

    monkeypatch.setattr(mounts, "read_about", gone)
    assert mount_of("/x") is None
    async with open_store() as store:
        await store.load()


async def test_locks_lie_in_the_directory_of_the_option_locks(
    open_store: OpenStore,
    workspace: Path,
    tmp_path: Path,
    make: MakeSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(path: str) -> tuple[str, frozenset[str]]:
        return "ext4" if path.startswith(str(tmp_path / "locks")) else "9p", frozenset()

    monkeypatch.setattr(mounts, "mount_of", told)
    session = make()
    async with open_store(locks=str(tmp_path / "locks")) as store, store.claim(session.id):
        await store.transact(lambda _: Changes(put=(session,)))
    assert list((workspace / ".git").iterdir()) == []
    there = [path.name for path in (tmp_path / "locks").rglob("*") if path.is_file()]
    assert sorted(there) == sorted([".claude-container-sessions.json.lock", session.id])


def test_stores_that_share_a_directory_for_locks_have_locks_of_their_own(tmp_path: Path) -> None:
    locks = {Places.of(tmp_path / name, "state.json", "/locks").lock for name in ("a", "b")}
    assert len(locks) == 2


def test_the_directory_for_locks_must_be_absolute(tmp_path: Path) -> None:
    config = ManagerConfig.of(workspace=tmp_path, options={"store": {"json": {"locks": "here"}}})
    with pytest.raises(ConfigurationError, match="absolute"):
        config.section("store", "json", JsonOptions)


async def test_a_file_system_without_locks_is_refused(
    open_store: OpenStore, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    async with open_store() as store:
        monkeypatch.setattr(fcntl, "flock", unsupported)
        with pytest.raises(UnsharedLocksError, match="has no locks"):
            await store.transact(lambda _: Changes(put=(make(),)))


@pytest.mark.parametrize(
    ("kind", "locks", "answer"),
    [
        ("fuse.sshfs", False, "STORE_LOCKS_UNSHARED"),
        ("fuse.sshfs", True, "opened"),
        ("fuse.local", False, "opened"),
    ],
)
def test_a_real_network_mount_is_recognised(
    tmp_path: Path, kind: str, locks: Any, answer: str
) -> None:
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("mounting takes root and /dev/fuse")
    directory = tmp_path / "with space"
    directory.mkdir()
    script = Path(__file__).with_name("fuse_mount.py")
    words = [sys.executable, str(script), kind, str(directory)]
    words += [str(tmp_path / "locks")] if locks else []
    done = subprocess.run(words, capture_output=True, text=True, timeout=TO_RUN)
    if done.returncode and "permitted" in done.stderr:
        pytest.skip(f"cannot mount: {done.stderr}")
    assert (done.stdout, done.stderr) == (f"{answer}\n", "")
