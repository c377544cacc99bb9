"""``report``, ``wait`` and ``ls --watch``: the status of sessions as it changes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import NoReturn

import click
from anyio import current_time, move_on_after

from frith import ChangeReader, FrithError, Session, SessionManager, SessionStatus
from frith.errors import SessionNotRunningError
from frith.model import SessionId, now
from frith_cli.attach.tty import CANCEL, Tty, output_tty
from frith_cli.console import drawn_table, note, write, write_json
from frith_cli.context import PROCESS_FAILED, TIMED_OUT, App, Interrupted
from frith_cli.opening import opened
from frith_cli.sessions import age, called, select, view, views_of
from frith_cli.workspace import SESSION_ID

_OF_PROCESSES = (SessionStatus.ACTIVE, SessionStatus.WAITING)
_EXIT = "exit"
_TICK = 1.0
"""Seconds between two looks, because the end of a process changes no record."""
_RECOUNT = 5.0
"""Seconds between two counts of changed files."""
_COLUMNS = ("NAME", "STATUS", "SINCE", "FROM", "BRANCH", "CHANGED", "MESSAGE")
_OPTIONAL = ("FROM", "CHANGED", "BRANCH", "SINCE", "MESSAGE")
_ENTER = b"\x1b[?1049h\x1b[?25l"
"""Switches to the alternate screen and hides the cursor."""
_LEAVE = CANCEL + b"\x1b[?25h\x1b[?1049l"
_SECONDS_TO_LEAVE = 0.5


class SessionEndedError(FrithError):
    """The awaited status cannot come: the session has no process, or was destroyed."""

    code = "SESSION_ENDED"


async def report(app: App, *, status: str, given: str | None, message: str | None) -> int:
    """Record the status of the session named ``given``, otherwise of the one that calls.

    Raises:
        UsageError: no session is named, and none calls.
        SessionNotRunningError: only a running session can have the status.
    """
    named = given or os.environ.get(SESSION_ID)
    if not named:
        raise click.UsageError(f"Not within a session ({SESSION_ID} is not set): name one.")
    wanted = SessionStatus(status)
    async with opened(app, restore=False) as manager:
        session = select(manager.get_all_sessions(), named)
        if wanted in _OF_PROCESSES and session.pty_pid is None:
            error = SessionNotRunningError(session.id, exit_status=session.details.exit)
            error.session_name = session.name
            raise error
        await manager.update_session_status(session.id, wanted, message=message)
    return 0


async def wait(app: App, *, given: str, wanted: Collection[str], seconds: float | None) -> int:
    """Wait until the session named ``given`` has a ``wanted`` status, and print it.

    If no host runs the session, this command does, because a status needs a host.

    Raises:
        SessionEndedError: the session has no process, which a wanted status needs.
    """
    found = None
    restore = set(wanted) != {_EXIT}
    async with opened(app, restore=restore) as manager, manager.changes() as changes:
        session_id = select(manager.get_all_sessions(), given).id
        with move_on_after(seconds):
            while found is None:
                session = manager.get_session(session_id)
                if session is None:
                    raise SessionEndedError(f"Session {given!r} was destroyed.")
                seen = await view(manager, session)
                if _fits(seen.session, wanted, called(manager.get_all_sessions(), session)):
                    found = seen
                else:
                    await _wait(changes, _TICK)
    if found is None:
        note(f"{given} did not reach {' or '.join(sorted(wanted))} within {seconds:g} s.")
        return TIMED_OUT
    if app.as_json:
        write_json(found.to_json())
    else:
        write(found.session.status)
    failed = _EXIT in wanted and found.session.status is SessionStatus.ERROR
    return PROCESS_FAILED if failed and not found.session.pty_pid else 0


def _fits(session: Session, wanted: Collection[str], name: str) -> bool:
    running = session.pty_pid is not None
    if session.status in wanted or (_EXIT in wanted and not running):
        return True
    if running:
        return False
    raise SessionEndedError(
        f"{session.name} is {session.status} and has no process, so it cannot become "
        f"{' or '.join(sorted(wanted))}. `frith resume {name}` starts one."
    )


async def watch(app: App) -> NoReturn:
    """Show a table of all sessions, always up to date, until interrupted.

    Raises:
        UsageError: standard output is not a terminal.
        Interrupted: a signal ended the command, such as Ctrl-C.
    """
    if not sys.stdout.isatty():
        raise click.UsageError("--watch needs a terminal to draw on.")
    counts: dict[SessionId, str] = {}
    counted = -_RECOUNT
    async with opened(app) as manager, manager.changes() as changes, _screen() as terminal:
        while True:
            sessions = [each.session for each in await views_of(manager)]
            rows = [_row(session, counts.get(session.id, "")) for session in sessions]
            lines = "\x1b[K\r\n".join(drawn_table(_COLUMNS, rows, _OPTIONAL))
            frame = f"\x1b[H{lines}\x1b[K\x1b[J"
            if not await terminal.write(frame.encode(sys.stdout.encoding, "replace")):
                raise Interrupted(signal.SIGHUP)
            if current_time() >= counted + _RECOUNT:
                counts = {each.id: await _changed(manager, each.id) for each in sessions}
                counted = current_time()
                continue
            await _wait(changes, _TICK)


def _row(session: Session, changed: str) -> tuple[str, ...]:
    since, source, message = "", "", ""
    if evidence := session.evidence:
        since = age(now() - evidence.since, seconds=True)
        source, message = evidence.source, evidence.message or ""
    return (session.name, session.status, since, source, session.branch, changed, message)


async def _changed(manager: SessionManager, session_id: SessionId) -> str:
    try:
        at_stake = await manager.inspect_session(session_id)
    except FrithError:
        return "?"
    return str(len({*at_stake.staged, *at_stake.changed, *at_stake.untracked}))


async def _wait(changes: ChangeReader, seconds: float) -> None:
    """Wait for a change, and for those that come with it; for at most ``seconds``."""
    with move_on_after(seconds):
        await anext(aiter(changes))
        while changes.has_next:
            await anext(aiter(changes))


@asynccontextmanager
async def _screen() -> AsyncIterator[Tty]:
    """Switch the terminal to the alternate screen, without a cursor.

    This command runs sessions meanwhile, and other processes may ask it for one. So it must not
    stop: not by Ctrl-Z, nor because the terminal takes no output (Ctrl-S, a lost connection).
    """
    with output_tty() as terminal:
        before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        try:
            await terminal.write(_ENTER)
            yield terminal
        finally:
            with move_on_after(_SECONDS_TO_LEAVE, shield=True):
                await terminal.write(_LEAVE)
            signal.signal(signal.SIGTSTP, before)
