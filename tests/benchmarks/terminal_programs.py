"""What runs in the measured terminals, and the bare readers that they are measured against."""

from __future__ import annotations

import os
import pty
import sys
import time
from collections.abc import Callable

FLOOD = """
import os, sys, tty
if sys.argv[1] == "raw":
    tty.setraw(1)
block = (b"x" * 79 + b"\\n") * 819
os.write(1, b"ready")
os.read(0, 1)
for _ in range(int(sys.argv[2])):
    os.write(1, block)
"""
"""Says that it is ready, then writes 64 KiB blocks of 80-column text once it was sent a line."""

COUNT = """
import os, tty
tty.setraw(1)
number = 0
while True:
    os.write(1, b"".join(b"%07d\\n" % n for n in range(number, number + 1000)))
    number = (number + 1000) % 10**7
"""
"""Writes without end; every 8 bytes tell by themselves where they belong."""

ECHO = ("sh", "-c", "stty raw -echo; printf ready; exec cat")
BLOCKS = 200

Pair = tuple[float, float]
"""Seconds, and seconds of the host's CPU."""


def python(program: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-SEc", program, *arguments)


def flood(mode: str) -> tuple[str, ...]:
    return python(FLOOD, mode, str(BLOCKS))


def bare_spawn(*command: str) -> tuple[int, int]:
    """Start ``command`` as ``pty.fork`` does; return its process id and the master."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    return pid, master


def until_ready(read: Callable[[], bytes]) -> None:
    seen = b""
    while b"ready" not in seen:
        seen += read()


def bare_flood(mode: str) -> Pair:
    """A blocking loop of ``os.read``."""
    pid, master = bare_spawn(*flood(mode))
    until_ready(lambda: os.read(master, 65536))
    started, cpu = time.perf_counter(), time.process_time()
    os.write(master, b"\n")
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass
    took = time.perf_counter() - started, time.process_time() - cpu
    os.close(master)
    os.waitpid(pid, 0)
    return took


class BareEcho:
    """A blocking write and read."""

    def __init__(self) -> None:
        self.pid, self._master = bare_spawn(*ECHO)
        until_ready(lambda: os.read(self._master, 100))

    def once(self) -> float:
        started = time.perf_counter()
        os.write(self._master, b"x")
        os.read(self._master, 10)
        return time.perf_counter() - started

    def close(self) -> None:
        os.close(self._master)
        os.waitpid(self.pid, 0)


def apart(pid: int) -> None:
    """Keep ``pid`` off our processor: a process that shares it or not changes an echo threefold."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, cores[1:])
