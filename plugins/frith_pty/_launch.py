"""Starts the process of a request on a terminal."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from frith.ports import SpawnRequest
from frith_pty._libc import PosixSpawn
from frith_terminals.commands import directory, find, is_script, refusals


def launch(spawner: PosixSpawn, request: SpawnRequest, env: Mapping[str, str], slave: str) -> int:
    """Start the process of ``request`` on the terminal ``slave`` and return its process id.

    A file without ``#!`` is run by ``/bin/sh``, as execvp(3) does.

    Raises:
        CommandNotFoundError, WorkingDirectoryError, SpawnError: see ``TerminalSpawner.spawn``.
    """
    argv = [os.fsencode(argument) for argument in request.command]
    variables = [os.fsencode(f"{name}={value}") for name, value in env.items()]
    with directory(request) as cwd:
        path = find(request, env.get("PATH", os.defpath))
        with refusals(request, path):
            try:
                return spawner.spawn(os.fsencode(path), argv, variables, cwd, os.fsencode(slave))
            except OSError as error:
                if error.errno != errno.ENOEXEC or not is_script(request, path):
                    raise
                script = [b"/bin/sh", os.fsencode(path), *argv[1:]]
                return spawner.spawn(script[0], script, variables, cwd, os.fsencode(slave))
