"""``stop`` and ``rm``."""

from __future__ import annotations

import os
import sys

import anyio
import click

from frith import AtStake, Session
from frith.errors import WorkAtStakeError
from frith_cli.console import note, progress, write_json
from frith_cli.context import REFUSED, App
from frith_cli.opening import opened
from frith_cli.sessions import select, view

_KINDS = {
    "staged": "staged",
    "changed": "changed",
    "untracked": "untracked",
    "ignored": "ignored",
    "commits": "commit on no branch",
    "submodules": "submodule",
}


async def stop(app: App, *, given: str) -> int:
    """End the process of the session named ``given``, whichever host owns it."""
    async with opened(app, restore=False) as manager:
        chosen = select(manager.get_all_sessions(), given)
        with progress(f"Stopping {chosen.name}"):
            stopped = await manager.stop_session(chosen.id)
        ended = await view(manager, stopped)
    if app.as_json:
        write_json(ended.to_json())
    else:
        note(f"{ended.session.name} is {ended.session.status}.")
    return 0


async def rm(app: App, *, given: str, cleanup: bool, force: bool) -> int:
    """Destroy the session named ``given``; ask if that destroys work.

    Raises:
        WorkAtStakeError: that destroys work, and there is no terminal to ask on.
        RemovalBlockedError: something in the worktree must not be destroyed.
    """
    if force and not cleanup:
        raise click.UsageError("--force needs --cleanup: without it no work is destroyed.")
    async with opened(app, restore=False) as manager:
        session = select(manager.get_all_sessions(), given)
        try:
            with progress(f"Destroying {session.name}"):
                await manager.destroy_session(session.id, cleanup, force=force)
        except WorkAtStakeError as error:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            _list(session, error.at_stake)
            if not await _confirmed("Destroy that too?"):
                note("Nothing was destroyed.")
                return REFUSED
            with progress(f"Destroying {session.name}"):
                await manager.destroy_session(session.id, cleanup, force=True)
    branch = f"the branch {session.branch}"
    kept = f"{branch} stays" if cleanup else f"{branch} and {session.worktree_path} stay"
    note(f"Destroyed {session.name}; {kept}.")
    return 0


def _list(session: Session, at_stake: AtStake) -> None:
    note(f"{session.worktree_path} contains work that exists nowhere else:")
    for kind, name in _KINDS.items():
        for item in getattr(at_stake, kind):
            note(f"  {name}: {item}")
    if at_stake.operation:
        note(f"  in progress: {at_stake.operation}")


async def _confirmed(question: str) -> bool:
    """Ask ``question`` on the terminal, without blocking the event loop."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    await anyio.wait_readable(0)
    return os.read(0, 1024).strip().lower() in {b"y", b"yes"}
