"""Disk images with file systems, which can be cloned while they are mounted."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from frith_testing.faults.machine.loop_device import loop_device
from frith_testing.faults.machine.mounts import enter_private_mounts, mount, unmount

_POOL_SIZE = 8 << 30
"""Bytes of the file that holds all images; sparse."""
_IMAGE_SIZE = 512 << 20
"""Bytes of an image; sparse. XFS takes no less than 300 MiB."""
_FICLONE = 0x40049409
"""ioctl_ficlone(2): make a file share all blocks of another one, atomically."""


class FileSystem(StrEnum):
    """The type of a file system."""

    EXT4 = "ext4"
    XFS = "xfs"
    BTRFS = "btrfs"


_TO_MOUNT_A_CLONE = {FileSystem.XFS: "nouuid"}
"""Options without which a clone is refused while the original is mounted."""


@contextmanager
def image(kind: FileSystem) -> Iterator[Path]:
    """Make an image of an empty file system on an XFS with reflinks, where it can be cloned.

    The mount points ``on`` and ``off`` are beside it. From now on this process has private mounts,
    so nothing stays mounted when it ends.
    """
    enter_private_mounts()
    with tempfile.TemporaryDirectory() as name:
        pool_image, pool = Path(name, "pool.img"), Path(name, "pool")
        pool.mkdir()
        _make(FileSystem.XFS, pool_image, _POOL_SIZE)
        with mounted(FileSystem.XFS, pool_image, pool):
            for directory in ("on", "off"):
                (pool / directory).mkdir()
            _make(kind, pool / "image", _IMAGE_SIZE)
            yield pool / "image"


@contextmanager
def mounted(kind: FileSystem, image: Path, at: Path, *, clone: bool = False) -> Iterator[None]:
    """Mount ``image`` at the directory ``at``, which replays the journal; fsck(8) is not run.

    The loop device is freed with the mount, and the mount with the processes that see it.
    """
    with loop_device(image) as device:
        mount(device, at, kind, data=_TO_MOUNT_A_CLONE.get(kind, "") if clone else "")
    try:
        yield
    finally:
        unmount(at)


def clone(image: Path, to: Path) -> None:
    """Make ``to`` an atomic copy of ``image``."""
    with image.open("rb") as source, to.open("wb") as target:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())


def _make(kind: FileSystem, image: Path, size: int) -> None:
    with image.open("xb") as file:
        file.truncate(size)
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    tool = shutil.which(f"mkfs.{kind}", path=path)
    if tool is None:
        raise FileNotFoundError(f"mkfs.{kind} is not installed")
    done = subprocess.run([tool, "-q", str(image)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{tool}: {done.stderr.strip()}")
