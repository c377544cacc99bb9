"""What goes away: ``rm``."""

from __future__ import annotations

from frith import Session
from frith.errors import WorkAtStakeError
from frith.model import AtStake
from frith_cli._app import REFUSED, App
from frith_cli._ask import can_ask, confirmed
from frith_cli._console import note, progress
from frith_cli._guard import Guard, drive
from frith_cli._opening import opened
from frith_cli._select import select

_KINDS = {
    "staged": "staged",
    "changed": "changed",
    "untracked": "untracked",
    "ignored": "ignored",
    "commits": "commit on no branch",
    "submodules": "submodule",
}


def rm(app: App, given: str, *, cleanup: bool, force: bool) -> int:
    """Destroy the session that ``given`` names; where work is at stake, ask.

    Raises:
        WorkAtStakeError: there is no terminal to ask on.
        RemovalBlockedError: something is at stake that may not be destroyed at all.
    """

    async def destroy(guard: Guard) -> Session | None:
        async with opened(app, guard, restore=False) as manager:
            session = select(manager.get_all_sessions(), given)
            try:
                with progress(f"Destroying {session.name}"):
                    await manager.destroy_session(session.id, cleanup, force=force)
            except WorkAtStakeError as error:
                if not can_ask():
                    raise
                _tell(session, error.at_stake)
                if not await confirmed("Destroy that too?"):
                    return None
                with progress(f"Destroying {session.name}"):
                    await manager.destroy_session(session.id, cleanup, force=True)
            return session

    destroyed = drive(destroy)
    if destroyed is None:
        note("Nothing was destroyed.")
        return REFUSED
    branch = f"the branch {destroyed.branch}"
    kept = f"{branch} stays" if cleanup else f"{branch} and {destroyed.worktree_path} stay"
    note(f"Destroyed {destroyed.name}; {kept}.")
    return 0


def _tell(session: Session, at_stake: AtStake) -> None:
    note(f"{session.worktree_path} holds work that exists nowhere else:")
    for kind, called in _KINDS.items():
        for name in getattr(at_stake, kind):
            note(f"  {called}: {name}")
    if at_stake.operation:
        note(f"  in progress: {at_stake.operation}")
