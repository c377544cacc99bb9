"""Becoming the owner of a session: claiming it, asking its owner, adopting its process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from anyio import fail_after, sleep

from frith._engine.claims import HeldClaim
from frith._engine.context import Engine
from frith._engine.processes import Ending, RunningProcess, has_process, without_process
from frith._flows.terminals import adopt, has_ended, sweep, this_process
from frith.errors import SessionOwnedError, TerminalClosedError, TerminalError
from frith.logs import log
from frith.model import Changes, Session, SessionId, SessionStatus, Snapshot
from frith.ports import Holder

PATIENCE = 5.0
"""Seconds, beyond the grace of its process, that an owner may take to release it."""

_ATTEMPTS, _RETRY = 20, 0.05
"""How often, and how many seconds apart, a claim is tried whose holder may be dying."""


@dataclass(slots=True)
class Report:
    """The result of reconciling records: processes that were swept or adopted, and notes."""

    swept: list[int] = field(default_factory=list)
    adopted: list[SessionId] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def label(engine: Engine, session_id: SessionId) -> str:
    """Return how a note for the user names a session."""
    session = engine.ledger.get(session_id)
    return f"session {session.name} ({session_id})" if session else f"session {session_id}"


@asynccontextmanager
async def taken_over(engine: Engine, session: Session) -> AsyncIterator[tuple[Session, HeldClaim]]:
    """End the process of ``session`` wherever it runs; yield the session and the claim on it.

    An owner in another process is asked to stop it, through the store. A process of a dead owner
    is adopted and ended, so that its exit status is known, or swept where it cannot be adopted.
    The claim is held in the block.

    Raises:
        SessionOwnedError: the owner does not release it in time, or its owner is unknown.
        SessionNotFoundError: it was destroyed meanwhile.
    """
    process = engine.processes.owned(session.id)
    if process is None:
        claim = await _claim(engine, session)
        process = await _left_running(engine, session, claim)
    if process is not None:
        await process.end(Ending.STOP, keep_claim=True)
        claim = process.claim
    try:
        await engine.ledger.refresh()
        session = await engine.ledger.need(session.id)
        if has_process(session):
            claim.check()
            await sweep(engine, session)
        yield session, claim
    finally:
        await engine.claims.give_back(claim)


async def _claim(engine: Engine, session: Session) -> HeldClaim:
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


async def _left_running(
    engine: Engine, session: Session, claim: HeldClaim
) -> RunningProcess | None:
    try:
        await engine.ledger.refresh()
        return await _adopt_process(engine, await engine.ledger.need(session.id), claim)
    except TerminalError as error:
        log.warning("session_not_adopted", session_id=session.id, reason=error)
        return None
    except BaseException:
        await engine.claims.give_back(claim)
        raise


async def _adopt_process(
    engine: Engine, session: Session, claim: HeldClaim
) -> RunningProcess | None:
    """Run the process that a dead owner left, if there is one, as this manager's.

    Raises:
        TerminalError: it is unknown whether there is one.
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
    process = RunningProcess(engine, claim, terminal, session.details.terminal)
    process.watch()
    return process


@asynccontextmanager
async def claimed_if_free(
    engine: Engine, session_id: SessionId
) -> AsyncIterator[tuple[Holder, HeldClaim | None]]:
    """Claim a session in the block if no process holds it; yield its holder and the claim.

    The claim is kept after the block if this manager runs the session's process then.
    """
    claim: HeldClaim | None = None
    holder = await engine.claims.holder(session_id)
    if holder is Holder.FREE:
        try:
            claim = await engine.claims.take(session_id)
        except SessionOwnedError:
            holder = Holder.HELD
    try:
        yield holder, claim
    finally:
        if claim is not None and not engine.processes.owned(session_id):
            await engine.claims.give_back(claim)


def seems_running(session: Session) -> bool:
    """Tell whether the record, or its status alone, says that the session has a process."""
    return has_process(session) or session.status in (SessionStatus.ACTIVE, SessionStatus.WAITING)


async def reconcile_process(engine: Engine, session: Session, report: Report | None = None) -> None:
    """Adopt the process of a session whose owner is gone, or make the session idle.

    What that owner left running is ended where it cannot be adopted.
    """
    report = report or Report()

    def transaction(newest: Snapshot) -> Changes:
        current = newest.sessions.get(session.id)
        if current is None or not seems_running(current):
            return Changes()
        return Changes(put=(without_process(current, SessionStatus.IDLE),))

    try:
        async with claimed_if_free(engine, session.id) as (holder, claim):
            if holder in (Holder.UNKNOWN, Holder.EXPIRED):
                called = label(engine, session.id)
                report.notes.append(f"it is unknown whether {called} is owned")
            elif claim is not None:
                # Looked up again: another host may have started a process, and closed, by now.
                current = (await engine.ledger.refresh()).sessions.get(session.id)
                if current is None or not seems_running(current):
                    return
                is_going = current.details.removing
                process = None if is_going else await _adopt_process(engine, current, claim)
                if process is not None:
                    report.adopted.append(session.id)
                    if await has_ended(process.terminal):
                        await process.ended()  # else it would seem to run until that is stored
                    return
                swept = await sweep(engine, current)
                report.swept.extend(swept.ended)
                report.notes.extend(swept.unknown)
                await engine.ledger.change(transaction, claim=claim)
    except Exception as error:
        report.notes.append(f"{label(engine, session.id)}: {error}")
        log.warning("session_not_reconciled", session_id=session.id, reason=error)


def await_takeover(engine: Engine, session: Session) -> None:
    """Take over the process of a session as soon as the host that runs it goes away."""
    if session.details.terminal_ref is not None:
        engine.processes.take_over_later(session.id, _take_over_when_left, engine, session.id)


async def _take_over_when_left(engine: Engine, session_id: SessionId) -> None:
    """Return when this manager runs the process, or it has ended or cannot outlive its host."""
    try:
        session = engine.ledger.get(session_id)
        if session is None or engine.processes.owned(session_id):
            return
        terminal = await adopt(engine, session)
        seen, attempts = 0, 1  # the host may have gone before this one was known to the keeper
        while terminal is not None and await _runs_elsewhere(engine, session, attempts):
            seen = await terminal.departed(seen)
            attempts = _ATTEMPTS
    except TerminalClosedError:
        return
    except Exception as error:
        log.warning("takeover_failed", session_id=session_id, reason=error)


async def _runs_elsewhere(engine: Engine, session: Session, attempts: int) -> bool:
    """Try to adopt a process; tell whether another host still runs it.

    A host that dies may lose its claim after its connection to the keeper.
    """
    for attempt in range(attempts):
        if attempt:
            await sleep(_RETRY)
        current = engine.ledger.get(session.id)
        if current is None or current.details.terminal_ref != session.details.terminal_ref:
            return False
        if await engine.claims.holder(session.id) is Holder.FREE:
            await reconcile_process(engine, current)
        if engine.processes.owned(session.id):
            return False
    return True
