"""The shim that intercepts calls of the C library; ``shim.c`` describes it."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_SOURCE = Path(__file__).with_name("shim.c")
_RECORD = struct.Struct("=16sqqqIIII")


class Fault(StrEnum):
    """A fault at a system call."""

    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    SHORT = "short"
    """A read(2) or write(2) transfers half of the data."""
    EIO = "EIO"
    ENOSPC = "ENOSPC"
    EMFILE = "EMFILE"

    @property
    def kills(self) -> bool:
        """Whether the process is killed."""
        return self in (Fault.KILL_BEFORE, Fault.KILL_AFTER)


_KINDS = {None: 0, Fault.KILL_BEFORE: 1, Fault.KILL_AFTER: 2, Fault.SHORT: 3}
_ERROR = 4


@dataclass(frozen=True, slots=True)
class Call:
    """One traced system call on a file beneath the root."""

    op: str
    """``open``, ``write``, …; ``mark`` for what was acknowledged, with the text as its path."""
    path: str
    other: str
    """The second path of a rename, the target of a symbolic link."""
    result: int
    """As the call returned it; -1 if it failed."""
    inode: int
    """Inode of the file that was written, synced or created; 0 where it does not matter."""
    created: bool
    truncated: bool
    offset: int
    """Offset of a write; new size of a truncation."""
    data: bytes

    def __str__(self) -> str:
        return f"{self.op} {self.path}" + (f" -> {self.other}" if self.other else "")


@functools.cache
def unavailable() -> str | None:
    """Return why this machine cannot intercept system calls; ``None`` if it can."""
    if not sys.platform.startswith("linux"):
        return f"system calls are intercepted on Linux only, not on {sys.platform}"
    if shutil.which("cc") is None:
        return "a C compiler `cc`, which the interception of system calls needs, is not installed"
    try:
        _compiled()
    except subprocess.CalledProcessError as error:
        return f"`cc` cannot compile the interception of system calls: {error.stderr.strip()}"
    return None


def preloaded() -> dict[str, str]:
    """Return the variables of an environment in which the shim is loaded.

    Raises:
        RuntimeError: it cannot be loaded: see :func:`unavailable`.
    """
    if (reason := unavailable()) is not None:
        raise RuntimeError(f"Cannot intercept system calls: {reason}")
    return {"LD_PRELOAD": str(_compiled())}


@functools.cache
def _compiled() -> Path:
    target = Path(_temporary().name) / "frith-shim.so"
    options = ("-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE")
    command = ["cc", *options, "-o", str(target), str(_SOURCE), "-ldl", "-lpthread"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="frith-shim-")


def arm(root: Path, number: int, fault: Fault | None, *, trace: int = -1, hits: int = -1) -> None:
    """Intercept the system calls of this process from now on; the shim must be loaded.

    Args:
        root: real path of the directory; calls on files beneath it are counted.
        number: number of the call that meets the fault, from 0; -1 for none.
        fault: the fault.
        trace: descriptor to write each call to, for :func:`traced`.
        hits: descriptor to write the call that met the fault to, as a frame ``H``.
    """
    kind = _KINDS.get(fault, _ERROR)
    code = getattr(errno, fault) if fault is not None and kind == _ERROR else 0
    _library().frith_arm(os.fsencode(root), number, kind, code, trace, hits)


def disarm() -> int:
    """Stop intercepting; return the number of counted calls."""
    return int(_library().frith_disarm())


def mark(text: str) -> None:
    """Write ``text`` to the trace, in the order of the calls."""
    _library().frith_mark(text.encode())


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.frith_arm.argtypes = [
        ctypes.c_char_p,
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
    ]
    library.frith_disarm.restype = ctypes.c_long
    return library


def traced(trace: bytes) -> Iterator[Call]:
    """Yield the calls of a trace, in their order."""
    position = 0
    while position < len(trace):
        op, result, inode, offset, flags, *sizes = _RECORD.unpack_from(trace, position)
        position += _RECORD.size
        parts = []
        for size in sizes:
            parts.append(trace[position : position + size])
            position += size
        yield Call(
            op.rstrip(b"\0").decode(),
            os.fsdecode(parts[0]),
            os.fsdecode(parts[1]),
            result,
            inode,
            bool(flags & 1),
            bool(flags & 2),
            offset,
            parts[2],
        )
