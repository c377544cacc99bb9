"""Mounts an empty file system of a given type here and asks the store of a workspace there to open.

``fuse_mount.py TYPE DIRECTORY [LOCKS]`` prints the code of the error, or ``opened``. It answers the
kernel itself (fuse(4)) and mounts in a name space of its own: for root, on Linux.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
import threading
from pathlib import Path

import anyio

from frith.errors import StoreError
from frith_json.options import JsonOptions
from frith_json.store import JsonStore

LOOKUP, FORGET, GETATTR, INIT, OPENDIR, RELEASEDIR = 1, 2, 3, 26, 27, 29
ENOENT, ENOSYS = -2, -38
NEW_NAMESPACE, RECURSIVE_PRIVATE = 0x00020000, 0x44000
DIRECTORY = struct.pack(
    "QII6Q10I", 60, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, stat.S_IFDIR | 0o755, 2, 0, 0, 0, 4096, 0
)
ANSWERS = {
    INIT: struct.pack("IIIIHHIIHHI28x", 7, 31, 0, 0, 16, 12, 4096, 1, 0, 0, 0),
    GETATTR: DIRECTORY,
    OPENDIR: struct.pack("QII", 1, 0, 0),
    RELEASEDIR: b"",
}


def answer(device: int) -> None:
    """Answer what the kernel asks: there is a root directory and nothing in it."""
    while True:
        try:
            request = os.read(device, 1 << 17)
        except OSError:  # unmounted
            return
        _, operation, unique = struct.unpack_from("IIQ", request)
        if operation == FORGET:
            continue
        body = ANSWERS.get(operation)
        error = ENOENT if operation == LOOKUP else ENOSYS
        head = struct.pack("IiQ", 16 + len(body or b""), 0 if body is not None else error, unique)
        os.write(device, head + (body or b""))


def mount(kind: str, directory: str) -> None:
    """Mount it, or exit with what kept it from being mounted."""
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    for failed in (
        libc.unshare(NEW_NAMESPACE),
        libc.mount(b"none", b"/", None, RECURSIVE_PRIVATE, None),
        libc.mount(b"host:/", os.fsencode(directory), kind.encode(), 0, options),
    ):
        if failed:
            sys.exit(os.strerror(ctypes.get_errno()))
    threading.Thread(target=answer, args=(device,), daemon=True).start()


async def main(workspace: Path, locks: str | None) -> None:
    try:
        async with JsonStore.opened(workspace, JsonOptions(locks=locks)):
            print("opened")
    except StoreError as error:
        print(error.code)


if __name__ == "__main__":
    mount(*sys.argv[1:3])
    anyio.run(main, Path(sys.argv[2]), sys.argv[3] if sys.argv[3:] else None)
