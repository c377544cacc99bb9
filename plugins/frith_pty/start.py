"""Starts a process on a terminal; blocks until it runs, so it is called in a thread.

Even ``posix_spawn`` returns only when the program has been read and executed: from a slow disk
that takes a while, and finding the command, opening a terminal and reading ``/proc`` add to it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from pydantic import JsonValue

from frith.errors import SpawnError
from frith.ports import SpawnRequest
from frith_os.processes import here, start_time
from frith_os.pty.child import Child, open_pty, spawn
from frith_os.pty.output import Output
from frith_pty.cgroup import Group
from frith_pty.posix_spawn import PosixSpawn
from frith_terminals.commands import check, directory, find, is_script, refusals
from frith_terminals.environment import environment
from frith_terminals.options import TerminalOptions


@dataclass(frozen=True, slots=True)
class Started:
    """A process that runs in a terminal; its holder owns the output and the child."""

    terminal_id: str
    request: SpawnRequest
    child: Child
    output: Output
    tty: str
    ref: dict[str, JsonValue]
    """``pid``, ``startTime``, ``bootId`` and ``pidNamespace`` of the process."""
    group: Group | None


def start(
    spawner: PosixSpawn, request: SpawnRequest, options: TerminalOptions, terminal_id: str
) -> Started:
    """Open a terminal and start the process of ``request`` in it; blocks until it runs.

    Raises:
        CommandNotFoundError, WorkingDirectoryError, SpawnError: see ``TerminalSpawner.spawn``.
            Nothing is left then.
    """
    env = environment(request, options, terminal_id)
    check(request, env)
    try:
        place = here()
        master, slave, tty = open_pty(request.size.rows, request.size.columns)
    except OSError as error:
        reason = f"there is no free terminal ({error.strerror}); close some sessions"
        raise SpawnError(request.command, reason) from error
    try:
        output = _output(request, master, tty, options.scrollback)
        pid = _launch(spawner, request, env, tty)
        try:
            child = Child(pid)
        except OSError as error:
            raise SpawnError(request.command, f"{error}; close some sessions") from error
        started = None
        with suppress(OSError):
            started = start_time(pid)
        group = Group.with_process(pid, terminal_id)
        ref: dict[str, JsonValue] = {"pid": pid, "startTime": started, **place}
        return Started(terminal_id, request, child, output, tty, ref, group)
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)


def _output(request: SpawnRequest, master: int, tty: str, scrollback: int) -> Output:
    size = request.size.rows, request.size.columns
    try:
        return Output(master, tty, scrollback, size, is_shared=False)
    except (OSError, OverflowError) as error:
        reason = f"there is no memory for a scrollback of {scrollback} bytes ({error})"
        raise SpawnError(request.command, reason) from error


def _launch(spawner: PosixSpawn, request: SpawnRequest, env: dict[str, str], tty: str) -> int:
    argv = [os.fsencode(argument) for argument in request.command]
    variables = [os.fsencode(f"{name}={value}") for name, value in env.items()]
    with directory(request) as cwd:
        path = find(request, env.get("PATH", os.defpath))
        with refusals(request, path):
            begin = partial(spawner.spawn, env=variables, cwd=cwd, slave=os.fsencode(tty))
            return spawn(begin, os.fsencode(path), argv, is_script=is_script(request, path))
