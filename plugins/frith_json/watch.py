"""Changes in directories, without polling: inotify(7), on Linux alone."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress

import anyio

from frith.errors import StoreError

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_ONLY_DIRECTORIES = 0x01000000
_MASK = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLY_DIRECTORIES
_BUFFER = 1 << 16


class Directories:
    """Watched directories; a context manager."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = -1

    def __enter__(self) -> Directories:
        self._fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def follow(self, directories: Iterable[str]) -> None:
        """Watch ``directories``, too.

        Raises:
            StoreError: one cannot be watched.
        """
        for directory in directories:
            path = os.fsencode(directory)
            self._checked(self._libc.inotify_add_watch(self._fd, path, _MASK))

    async def changed(self) -> None:
        """Wait for a change in any of them; several at once count as one."""
        await anyio.wait_readable(self._fd)
        with suppress(BlockingIOError):
            while os.read(self._fd, _BUFFER):
                pass

    def _checked(self, result: int) -> int:
        if result < 0:
            error = OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            raise StoreError(
                f"Cannot watch for changes: {error.strerror}. If it is a limit, raise "
                "fs.inotify.max_user_instances or max_user_watches."
            ) from error
        return result
