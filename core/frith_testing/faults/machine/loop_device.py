"""Loop devices: a file as a block device, see loop(4). Linux 5.8 or later."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_AUTOCLEAR = 4
_CONFIG = struct.Struct("=II 52x I 240x")
"""struct loop_config: file, block size (0: the default), and of struct loop_info64 the flags."""


@contextmanager
def loop_device(file: Path) -> Iterator[str]:
    """Attach ``file`` to a free loop device and return its path.

    It is detached once neither the context nor a mount uses it.
    """
    with file.open("r+b") as backing, open("/dev/loop-control", "rb") as control:
        while True:
            path = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _CONFIGURE, _CONFIG.pack(backing.fileno(), 0, _AUTOCLEAR))
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # another process has taken it
                    raise
                continue
            break
    try:
        yield path
    finally:
        os.close(device)
