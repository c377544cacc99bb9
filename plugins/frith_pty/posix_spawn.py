"""``posix_spawn`` of the C library, with actions that :func:`os.posix_spawn` lacks.

The child enters a directory and closes every other descriptor, and an error of execve(2) is
reported, without a fork of this process and without a helper program. See posix_spawn(3);
``addfchdir_np`` is in glibc 2.29 and musl 1.1.24, ``addclosefrom_np`` in glibc 2.34.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Sequence

from frith.errors import UnsupportedPlatformError

_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80
_OPAQUE = 1024
"""Bytes for any of the C library's opaque structures; the largest known has 336."""
_RESET = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


class PosixSpawn:
    """Spawns children as leaders of their own session, with all signals reset."""

    def __init__(self) -> None:
        """Find the functions.

        Raises:
            UnsupportedPlatformError: the C library has no ``addfchdir_np``.
        """
        # CDLL releases the GIL: the calling thread waits for the exec, no other one does.
        self._libc = ctypes.CDLL(None)
        if not hasattr(self._libc, "posix_spawn_file_actions_addfchdir_np"):
            raise UnsupportedPlatformError("Terminal provider 'pty'", "a C library this old")
        self._has_closefrom = hasattr(self._libc, "posix_spawn_file_actions_addclosefrom_np")
        self._attributes = self._new_attributes()

    def spawn(
        self, path: bytes, argv: Sequence[bytes], env: Sequence[bytes], cwd: int, slave: bytes
    ) -> int:
        """Start ``path`` in the directory ``cwd`` and return its process id.

        The child leads a session; opening the terminal ``slave`` as its descriptors 0, 1 and 2
        makes that its controlling terminal. It has no other descriptor.

        Args:
            path: file to execute, relative to ``cwd`` if not absolute.
            argv: arguments, the command's own name first.
            env: ``NAME=value`` entries.
            cwd: descriptor of the working directory.
            slave: path of the terminal.

        Raises:
            OSError: as the failing step reports it, most often ``execve``.
        """
        actions = ctypes.create_string_buffer(_OPAQUE)
        self._call("posix_spawn_file_actions_init", actions)
        try:
            self._add(actions, "open", 0, slave, os.O_RDWR, 0)
            self._add(actions, "dup2", 0, 1)
            self._add(actions, "dup2", 0, 2)
            self._add(actions, "fchdir_np", cwd)
            if self._has_closefrom:
                self._add(actions, "closefrom_np", 3)
            else:
                for fd in _open_descriptors():
                    self._add(actions, "close", fd)
            pid = ctypes.c_int()
            self._call(
                "posix_spawn",
                ctypes.byref(pid),
                path,
                actions,
                self._attributes,
                _strings(argv),
                _strings(env),
            )
            return pid.value
        finally:
            self._call("posix_spawn_file_actions_destroy", actions)

    def _new_attributes(self) -> ctypes.Array[ctypes.c_char]:
        attributes = ctypes.create_string_buffer(_OPAQUE)
        none, all_but_fatal = (ctypes.create_string_buffer(_OPAQUE) for _ in range(2))
        for signals in (none, all_but_fatal):
            self._libc.sigemptyset(signals)
        for number in _RESET:
            self._libc.sigaddset(all_but_fatal, int(number))
        self._call("posix_spawnattr_init", attributes)
        self._call("posix_spawnattr_setsigmask", attributes, none)
        self._call("posix_spawnattr_setsigdefault", attributes, all_but_fatal)
        flags = _SETSIGDEF | _SETSIGMASK | _SETSID
        self._call("posix_spawnattr_setflags", attributes, ctypes.c_short(flags))
        return attributes

    def _add(self, actions: ctypes.Array[ctypes.c_char], action: str, *arguments: object) -> None:
        self._call(f"posix_spawn_file_actions_add{action}", actions, *arguments)

    def _call(self, name: str, *arguments: object) -> None:
        if error := getattr(self._libc, name)(*arguments):
            raise OSError(error, os.strerror(error))


def _strings(items: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(items) + 1))(*items, None)


def _open_descriptors() -> list[int]:
    # A descriptor that another thread opens inheritably between here and the spawn would leak, but
    # only where the C library has no closefrom. Closing one that is closed already has no effect.
    return [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2]
