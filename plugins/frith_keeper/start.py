"""Starts a keeper, which starts the command; blocks until both run."""

from __future__ import annotations

import json
import os

from frith.errors import SpawnError, WorkingDirectoryError
from frith.ports import SpawnRequest
from frith_keeper.finding import Keepers, name_of
from frith_keeper.link import Greeted, KeeperError, RefusedError, greet
from frith_keeper.options import KeeperOptions
from frith_keeper.service_managers import scope_manager
from frith_keeper.zygote import Zygote
from frith_os.pty import wire
from frith_terminals.commands import check, directory, find, is_script, refusals
from frith_terminals.environment import environment

_WITHIN = 20.0
"""Seconds in which a keeper must have started."""
_LOOK = 10.0
"""Seconds after which a keeper checks again that hosts can find it."""


def start(
    request: SpawnRequest,
    terminal_id: str,
    zygote: Zygote,
    keepers: Keepers,
    options: KeeperOptions,
) -> Greeted:
    """Start a keeper that starts the command of ``request``; return it, greeted.

    Raises:
        CommandNotFoundError, WorkingDirectoryError, SpawnError: see ``TerminalSpawner.spawn``.
            Nothing is left then.
    """
    name = name_of(request.session_id, terminal_id)
    env = environment(request, options, terminal_id)
    check(request, env)
    with directory(request):
        path = find(request, env.get("PATH", os.defpath))
    wanted = {
        "session": request.session_id,
        "terminal": terminal_id,
        "name": name,
        "base": keepers.base,
        "look": _LOOK,
        "directory": keepers.directory,
        "output": keepers.output(request.session_id),
        "manager": scope_manager(),
        "argv": request.command,
        "path": path,
        "script": is_script(request, path),
        "env": [f"{name}={value}" for name, value in env.items()],
        "cwd": request.cwd,
        "rows": request.size.rows,
        "columns": request.size.columns,
        "scrollback": options.scrollback,
        "sizePolicy": options.size,
        "writeWithin": options.write_timeout,
        "linger": options.linger,
    }
    try:
        connection = zygote.fork(json.dumps(wanted).encode())
    except OSError as error:
        raise SpawnError(request.command, f"its keeper cannot be started: {error}") from error
    try:
        return greet(connection, _WITHIN)
    except RefusedError as error:
        raise _refused(request, path, error.answer) from error
    except (KeeperError, OSError) as error:
        raise SpawnError(request.command, f"its keeper did not start: {error}") from error


def _refused(request: SpawnRequest, path: str, answer: wire.Message) -> Exception:
    if "errno" not in answer:
        return SpawnError(request.command, f"its keeper cannot serve: {answer.get('message')}")
    error = OSError(answer["errno"], os.strerror(answer["errno"]))
    if answer["error"] == "cwd":
        reason = f"working directory {request.cwd!r}: {error.strerror}"
        return WorkingDirectoryError(request.command, reason)
    try:
        with refusals(request, path):
            raise error
    except SpawnError as refusal:
        return refusal
