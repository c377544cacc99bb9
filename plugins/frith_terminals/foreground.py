"""The foreground processes of a terminal, and whether they wait for input.

The terminal gives the foreground process group, /proc the system call that each thread is in and
the descriptors that this call waits for. See tcgetpgrp(3), termios(3), proc_pid_syscall(5),
proc_pid_fdinfo(5), select(2), poll(2), epoll(7).

That is unknown for processes of another user or that changed their user as sudo does, on a kernel
without CONFIG_HAVE_ARCH_TRACEHOOK, and on machines whose system calls are not listed here.
"""

from __future__ import annotations

import os
import platform
import struct
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from frith.ports import Foreground, Reading
from frith_os.processes import stat_of

_NUMBERS = {
    "x86_64": {"read": (0, 19), "poll": (7, 271), "select": (23, 270), "epoll": (232, 281, 441)},
    "aarch64": {"read": (63, 65), "poll": (73,), "select": (72,), "epoll": (22, 441)},
}.get(platform.machine(), {})
_NAMES = {number: name for name, numbers in _NUMBERS.items() for number in numbers}
_POLL_MILLISECONDS = 7
_POLLIN = 1
_MANY = 256
"""Processes and polled descriptors that are looked at, at most."""

_PRECEDENCE = (Reading.ONLY, Reading.ALSO, None)
"""Of processes of one group that differ, the first of these counts."""


class Written(NamedTuple):
    """The input of a terminal so far; see :class:`frith.ports.Foreground`."""

    total: int = 0
    at: int | None = 0


def foreground(master: int, leader: int, tty: str, written: Written) -> Foreground | None:
    """Return the foreground of the terminal with this ``master`` end; see :func:`described`."""
    try:
        return described(os.tcgetpgrp(master), lambda: _local(master), leader, tty, written)
    except (OSError, termios.error):
        return None


def described(
    group: int, local: Callable[[], int], leader: int, tty: str, written: Written
) -> Foreground:
    """Describe the processes in the foreground.

    Args:
        group: the foreground process group.
        local: returns the local modes of the terminal. It is called last, because a program
            turns off the echo before it reads a secret.
        leader: process id of the leader of its session.
        tty: path of its slave end.
        written: its input so far.
    """
    members = [pid for pid in _family(leader) if (s := stat_of(pid)) and s.group == group]
    readings = [_reading(pid, tty) for pid in members]
    modes = local()
    return Foreground(
        programs=frozenset(name for pid in members for name in _names(pid)),
        reading=next((r for r in _PRECEDENCE if r in readings), Reading.NOT),
        secret=bool(modes & termios.ICANON) and not modes & termios.ECHO,
        written=written.total,
        written_at=written.at,
    )


def _local(master: int) -> int:
    return int(termios.tcgetattr(master)[3])


def _family(leader: int) -> list[int]:
    family = [leader]
    for pid in family:
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                family += map(int, _read(f"{pid}/task/{thread}/children").split())
        if len(family) > _MANY:
            break
    return family


def _read(name: str) -> str:
    with open(f"/proc/{name}", encoding="utf-8", errors="replace") as file:
        return file.read()


def _names(pid: int) -> Iterator[str]:
    with suppress(OSError):
        command, *arguments = _read(f"{pid}/cmdline").split("\0")
        script = next((each for each in arguments if not each.startswith("-")), "")
        yield from (os.path.basename(each) for each in (command.lstrip("-"), script) if each)


def _reading(pid: int, tty: str) -> Reading | None:
    if not _NAMES:
        return None
    found = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
                found.add(_waiting(pid, thread, tty))
    except (FileNotFoundError, ProcessLookupError):  # the process has ended
        return Reading.NOT
    except (OSError, struct.error):
        return None
    if found == {Reading.ONLY}:
        return Reading.ONLY
    return Reading.NOT if found <= {Reading.NOT} else Reading.ALSO  # without threads, it is ending


def _waiting(pid: int, thread: str, tty: str) -> Reading:
    number, *arguments = _read(f"{pid}/task/{thread}/syscall").split()
    if not number.isdigit():  # "running", or "-1" outside of a call
        return Reading.NOT
    call = _NAMES.get(int(number))
    values = [int(argument, 16) for argument in arguments[:6]]
    if call == "read":
        return Reading.ONLY if _is(pid, values[0], tty) else Reading.NOT
    if call == "epoll":
        awaited = [int(line.split()[1]) for line in _targets(pid, values[0])]
        return Reading.ALSO if any(_is(pid, fd, tty) for fd in awaited) else Reading.NOT
    if call == "select":
        awaited, timed = list(_selected(pid, values[0], values[1])), values[4] != 0
    elif call == "poll":
        awaited = list(_polled(pid, values[0], min(values[1], _MANY)))
        # "For ever" is -1 for poll(2), a null pointer for ppoll(2).
        by_number = int(number) == _POLL_MILLISECONDS
        timed = values[2] & 0xFFFFFFFF != 0xFFFFFFFF if by_number else values[2] != 0
    else:
        return Reading.NOT
    ours = [_is(pid, fd, tty) for fd in awaited]
    if not any(ours):
        return Reading.NOT
    return Reading.ONLY if all(ours) and not timed else Reading.ALSO


def _is(pid: int, fd: int, tty: str) -> bool:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/fd/{fd}") in (tty, "/dev/tty")
    return False


def _targets(pid: int, epoll: int) -> list[str]:
    info = _read(f"{pid}/fdinfo/{epoll}").splitlines()
    return [line for line in info if line.startswith("tfd:")]


def _selected(pid: int, count: int, address: int) -> Iterator[int]:
    if address:
        bits = int.from_bytes(_memory(pid, address, (min(count, _MANY) + 7) // 8), "little")
        yield from (fd for fd in range(min(count, _MANY)) if bits >> fd & 1)


def _polled(pid: int, address: int, count: int) -> Iterator[int]:
    for fd, events, _ in struct.iter_unpack("ihh", _memory(pid, address, 8 * count)):
        if fd >= 0 and events & _POLLIN:
            yield fd


def _memory(pid: int, address: int, length: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(length)
