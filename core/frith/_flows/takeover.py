"""Becoming the owner of a session: asking who owns it, and clearing what a dead owner left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from anyio import fail_after, sleep

from frith._engine.claims import Owned
from frith._engine.context import Engine
from frith._engine.processes import Ending, Running, this_process
from frith._flows.terminals import adopt, forget, sweep
from frith.errors import SessionOwnedError, TerminalError
from frith.logs import log
from frith.model import Details, Session, SessionId, SessionStatus, now
from frith.ports import Holder, MarkerState
from frith.providers import Capability, Role, chosen_name

PATIENCE = 5.0
"""Seconds, beyond the grace of its process, that an owner may take to let go."""

_RETRY = 0.05


async def take_over(engine: Engine, session: Session) -> tuple[Session, Owned]:
    """Make this process the owner of ``session``, with no process of it running any more.

    Returns the session as it is then, and its ownership.

    An owner elsewhere is asked to stop it, through the store. What a dead one left running is gone
    on with and ended, so that its exit is known, or swept where it does not outlive its host.

    Raises:
        SessionOwnedError: the owner does not let go in time, or it cannot be told who it is.
        SessionNotFoundError: it was destroyed meanwhile.
    """
    running = engine.mine(session.id)
    if running is None:
        claim = await _claim(engine, session)
        running = await _left_running(engine, session, claim)
    if running is not None:
        await running.end(Ending.STOP, keep_claim=True)
        claim = running.claim
    try:
        await engine.ledger.refresh()
        session = await engine.ledger.need(session.id)
        if session.pty_pid is not None or session.details.terminal_ref is not None:
            claim.check()
            await sweep(engine, session)
    except BaseException:
        await engine.claims.give_back(claim)
        raise
    return session, claim


async def _left_running(engine: Engine, session: Session, claim: Owned) -> Running | None:
    try:
        await engine.ledger.refresh()
        return await go_on(engine, await engine.ledger.need(session.id), claim)
    except TerminalError as error:
        log.warning("session_not_adopted", session_id=session.id, reason=error)
        return None
    except BaseException:
        await engine.claims.give_back(claim)
        raise


async def go_on(engine: Engine, session: Session, claim: Owned) -> Running | None:
    """Run the process that a dead owner left, as this manager's.

    Returns:
        What runs it; None if there is no such process.

    Raises:
        TerminalError: it cannot be told whether there is one.
    """
    terminal = await adopt(engine, session)
    if terminal is None:
        return None
    try:
        await engine.ledger.amend(
            session.id,
            lambda s: s.evolve(pty_pid=terminal.pid).detail(
                owner=this_process(), terminal_ref=dict(terminal.ref)
            ),
            claim=claim,
        )
    except BaseException:
        terminal.detach()
        raise
    running = Running(engine, claim, terminal, session.details.terminal)
    running.watch()
    return running


async def _claim(engine: Engine, session: Session) -> Owned:
    try:
        return await engine.claims.take(session.id)
    except SessionOwnedError as error:
        if not error.certain:
            raise
    engine.follow()
    await engine.ledger.amend(session.id, lambda s: s.detail(desired=SessionStatus.STOPPED))
    try:
        with fail_after(engine.config.terminate_grace + PATIENCE):
            while True:
                with suppress(SessionOwnedError):
                    return await engine.claims.take(session.id)
                await sleep(_RETRY)
    except TimeoutError:
        await engine.ledger.amend(session.id, lambda s: s.detail(desired=None))
        raise SessionOwnedError(session.id) from None


@asynccontextmanager
async def claimed_if_free(
    engine: Engine, session_id: SessionId
) -> AsyncIterator[tuple[Holder, Owned | None]]:
    """Tell who held the session; if nobody did, this process owns it inside, by what is yielded.

    It goes on owning it if it runs the session's process then.
    """
    claim: Owned | None = None
    holder = await engine.claims.holder(session_id)
    if holder is Holder.FREE:
        try:
            claim = await engine.claims.take(session_id)
        except SessionOwnedError:
            holder = Holder.HELD
    try:
        yield holder, claim
    finally:
        if claim is not None and not engine.mine(session_id):
            await engine.claims.give_back(claim)


async def strays(engine: Engine) -> dict[SessionId, int]:
    """Return the process id of each session that has one to adopt, and that nothing records."""
    kept = await _kept(engine)
    snapshot = engine.ledger.snapshot
    known = snapshot.sessions.keys() | snapshot.reservations.keys()
    return {session_id: pid for session_id, pid in kept.items() if session_id not in known}


async def unrecorded(engine: Engine) -> dict[SessionId, int]:
    """Return the process id of each session that has one to adopt, though its record names none."""

    async def look() -> set[tuple[SessionId, int]]:
        return {
            (session_id, pid)
            for session_id, pid in (await _kept(engine)).items()
            if (session := engine.ledger.get(session_id))
            and session.details.terminal_ref is None
            and await engine.claims.holder(session_id) is Holder.FREE
        }

    found = await look()
    # Once more: of a process that has just ended the record may be there before the keeper leaves.
    return dict(found & await look()) if found else {}


async def _kept(engine: Engine) -> dict[SessionId, int]:
    name = chosen_name(engine.config, Role.TERMINAL)
    if not engine.providers.can(Role.TERMINAL, name, Capability.ADOPT):
        return {}
    async with engine.providers.use(Role.TERMINAL) as spawner:
        kept = await spawner.kept()
    await engine.ledger.refresh()  # afterwards: what was started since then is recorded by now
    return kept


async def end_stray(engine: Engine, session_id: SessionId) -> None:
    """End the processes of a session that nothing records."""
    moment = now()
    session = Session(
        id=session_id,
        name="stray",
        status=SessionStatus.IDLE,
        branch="stray",
        worktree_path=engine.workspace,
        created_at=moment,
        last_activity=moment,
        details=Details(terminal=chosen_name(engine.config, Role.TERMINAL)),
    )
    claim = await engine.claims.take(session_id)
    try:
        await sweep(engine, session)
        await forget(engine, session)
    finally:
        await engine.claims.give_back(claim)


async def write_marker(engine: Engine, session_id: SessionId) -> None:
    """Write the marker of a session durably; if another process owns it, only update it.

    Without owning the session a durable marker might revive one that is just being destroyed.
    """
    if engine.mine(session_id):
        await _write_newest(engine, session_id)
        return
    try:
        claim = await engine.claims.take(session_id)
    except SessionOwnedError:
        engine.markers.write_later(session_id)
        return
    try:
        await engine.ledger.refresh()
        await _write_newest(engine, session_id)
    finally:
        await engine.claims.give_back(claim)


async def _write_newest(engine: Engine, session_id: SessionId) -> None:
    session = engine.ledger.get(session_id)
    if session is not None:
        await engine.markers.write(session, MarkerState.LIVE)
