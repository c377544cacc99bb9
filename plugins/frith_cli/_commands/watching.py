"""What goes on: ``ls --watch`` and ``wait``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from anyio import current_time, move_on_after

from frith import FrithError, SessionManager, SessionStatus
from frith.model import SessionId, now
from frith_cli._app import PROCESS_FAILED, TIMED_OUT, App
from frith_cli._console import note, write, write_json
from frith_cli._following import TICK, News
from frith_cli._guard import Guard, drive
from frith_cli._live import live_table
from frith_cli._opening import opened
from frith_cli._select import called, select
from frith_cli._view import View, age, view

if TYPE_CHECKING:
    from collections.abc import Collection

_RECOUNT = 5.0
"""Seconds between two counts of changed files."""
_COLUMNS = ("NAME", "STATUS", "SINCE", "FROM", "BRANCH", "CHANGED", "MESSAGE")
_LESS_NEEDED = ("FROM", "CHANGED", "BRANCH", "SINCE", "MESSAGE")
_EXIT = "exit"


class SessionEndedError(FrithError):
    """What was waited for will not come: the session has no process any more, or is gone."""

    code = "SESSION_ENDED"


def ls(app: App) -> int:
    """Keep a table of all sessions on the screen until interrupted.

    Raises:
        UsageError: standard output is no terminal.
        Interrupted: a signal ended it, such as Ctrl-C.
    """
    if not sys.stdout.isatty():
        raise click.UsageError("--watch needs a terminal to draw on.")

    async def show(guard: Guard) -> None:
        news = News()
        async with opened(app, guard, plugins={"cli-news": news}) as manager:
            manager.follow_changes()
            async with live_table(_COLUMNS, _LESS_NEEDED) as draw:
                counts: dict[SessionId, str] = {}
                counted = -_RECOUNT
                while True:
                    views = await _views(manager)
                    await draw([_row(each, counts.get(each.session.id, "")) for each in views])
                    if current_time() >= counted + _RECOUNT:
                        counts = {v.session.id: await _changed(manager, v) for v in views}
                        counted = current_time()
                        continue
                    await news.wait(TICK)

    drive(show)
    return 0


def wait(app: App, given: str, wanted: Collection[str], timeout: float | None) -> int:
    """Wait until the session that ``given`` names is as ``wanted``; print its status.

    If nobody runs it, nobody would tell what its process does: then it is run from here.

    Raises:
        SessionEndedError: it has no process that could bring that about.
    """

    async def until(guard: Guard) -> View | None:
        news = News()
        watches = set(wanted) != {_EXIT}
        async with opened(app, guard, restore=watches, plugins={"cli-news": news}) as manager:
            manager.follow_changes()
            session_id = select(manager.get_all_sessions(), given).id
            with move_on_after(timeout):
                while True:
                    session = manager.get_session(session_id)
                    if session is None:
                        raise SessionEndedError(f"Session {given!r} was destroyed.")
                    seen = await view(manager, session)
                    if _fits(seen, wanted, called(manager.get_all_sessions(), session)):
                        return seen
                    await news.wait(TICK)
        return None

    seen = drive(until)
    if seen is None:
        note(f"{given} did not become {' or '.join(sorted(wanted))} within {timeout:g} s.")
        return TIMED_OUT
    if app.as_json:
        write_json(seen.to_json())
    else:
        write(seen.session.status)
    failed = _EXIT in wanted and seen.session.status is SessionStatus.ERROR
    return PROCESS_FAILED if failed and not seen.session.pty_pid else 0


def _fits(seen: View, wanted: Collection[str], name: str) -> bool:
    session = seen.session
    running = session.pty_pid is not None
    if session.status in wanted or (_EXIT in wanted and not running):
        return True
    if running:
        return False
    raise SessionEndedError(
        f"{session.name} is {session.status}: it has no process that could become "
        f"{' or '.join(sorted(wanted))}. `frith resume {name}` starts one."
    )


async def _views(manager: SessionManager) -> list[View]:
    sessions = sorted(manager.get_all_sessions(), key=lambda session: session.created_at)
    return [await view(manager, session) for session in sessions]


def _row(each: View, changed: str) -> tuple[str, ...]:
    session, evidence = each.session, each.session.evidence
    since, source, message = "", "", ""
    if evidence is not None:
        since = age(now() - evidence.since, seconds=True)
        source, message = evidence.source, evidence.message or ""
    return (session.name, session.status, since, source, session.branch, changed, message)


async def _changed(manager: SessionManager, each: View) -> str:
    try:
        at_stake = await manager.inspect_session(each.session.id)
    except FrithError:
        return "?"
    return str(len({*at_stake.staged, *at_stake.changed, *at_stake.untracked}))
