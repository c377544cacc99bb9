"""Comparing record, worktrees, owners and markers, and repairing what differs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from frith._engine.context import Engine
from frith._engine.processes import has_process
from frith._flows.rebuild import merge, read_markers, rebuild
from frith._flows.restore import locations, reconcile
from frith._flows.takeover import Report, label
from frith._flows.terminals import adopt, forget_output, sweep
from frith._flows.update import write_marker
from frith.errors import TerminalError
from frith.model import Details, Session, SessionId, SessionStatus, now
from frith.ports import Holder, Marker, Presence
from frith.providers import Capability, Role


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    code: str
    """Stable name of the kind of finding."""
    message: str
    """The description of the problem, for the user."""
    session_id: SessionId | None = None
    remedy: str = ""
    """The effect of a repair; empty if frith cannot repair it."""
    repaired: bool = False
    is_risk: bool = False
    """Whether it is no damage, but may lead to some where this host runs."""


async def diagnose(engine: Engine) -> tuple[Finding, ...]:
    """Return what is not as it should be; changes nothing."""
    await engine.ledger.refresh()
    markers = await read_markers(engine)
    groups = (
        _worktree_findings(engine),
        _owner_findings(engine),
        _unfinished_findings(engine),
        _marker_findings(engine, markers),
        _process_findings(engine, markers),
        _risk_findings(engine),
    )
    return tuple([finding for group in groups async for finding in group])


async def repair(engine: Engine) -> tuple[Finding, ...]:
    """Repair what can be repaired; return what was found, each with whether it is repaired."""
    found = await diagnose(engine)
    if all(finding.is_risk for finding in found):
        return found
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        await workspace.repair()
    for session_id, location in (await locations(engine, Report())).items():
        if location.presence in (Presence.PRESENT, Presence.MOVED):
            await _relocate(engine, session_id, location.path)
    await rebuild(engine, False)
    await reconcile(engine, Report())
    for session_id in await _unknown_processes(engine):
        await _end_unknown_process(engine, session_id)
    left = {(finding.code, finding.session_id) for finding in await diagnose(engine)}
    return tuple(
        replace(finding, repaired=(finding.code, finding.session_id) not in left)
        for finding in found
    )


async def _relocate(engine: Engine, session_id: SessionId, path: str) -> None:
    session = engine.ledger.get(session_id)
    if session is None or session.worktree_path == path:
        return
    moved = await engine.ledger.amend(session_id, lambda s: s.evolve(worktree_path=path))
    await write_marker(engine, moved.id)


async def _worktree_findings(engine: Engine) -> AsyncIterator[Finding]:
    where = await locations(engine, Report())
    for session in engine.ledger.all():
        location = where.get(session.id)
        if location is None or location.presence is Presence.PRESENT or session.details.removing:
            continue
        called, remedy = f"the worktree of {label(engine, session.id)}", ""
        match location.presence:
            case Presence.MISSING:
                message = (
                    f"{called} is gone: {location.path}; "
                    "resuming the session re-creates it from its branch"
                )
            case Presence.MOVED:
                message = f"{called} is at {location.path} now"
                remedy = "fix git's pointers and record the new path"
            case Presence.REDIRECTED:
                message = f"{called} cannot be used: {location.reason}"
            case Presence.UNKNOWN:
                message = f"it is unknown whether {called} exists"
        yield Finding(f"WORKTREE_{location.presence.name}", message, session.id, remedy)


async def _owner_findings(engine: Engine) -> AsyncIterator[Finding]:
    for session in engine.ledger.all():
        if not has_process(session):
            continue
        called = label(engine, session.id)
        holder = await engine.claims.holder(session.id)
        if holder in (Holder.UNKNOWN, Holder.EXPIRED):
            message = f"it is unknown whether the owner of {called} is alive"
            yield Finding("OWNER_UNKNOWN", message, session.id)
        if holder is not Holder.FREE:
            continue
        try:
            if await adopt(engine, session) is not None:
                continue  # the next host to open adopts it
        except TerminalError as error:
            message = f"the terminal of {called} cannot be reached: {error}"
            yield Finding("TERMINAL_UNREACHABLE", message, session.id)
            continue
        message = f"{called} is recorded as running, and its owner is gone"
        remedy = "end what was left running and make the session idle"
        yield Finding("OWNER_GONE", message, session.id, remedy)


async def _unfinished_findings(engine: Engine) -> AsyncIterator[Finding]:
    for reservation in engine.ledger.snapshot.reservations.values():
        if await engine.claims.holder(reservation.id) is Holder.FREE:
            message = f"the creation of session {reservation.name} ({reservation.id}) was cut off"
            remedy = "undo it, or finish it if its worktree holds work"
            yield Finding("CREATION_UNFINISHED", message, reservation.id, remedy)
    for session in engine.ledger.all():
        if session.details.removing and await engine.claims.holder(session.id) is Holder.FREE:
            message = f"the removal of {label(engine, session.id)} was cut off"
            remedy = "finish it, or undo it if its worktree still exists"
            yield Finding("REMOVAL_UNFINISHED", message, session.id, remedy)


async def _marker_findings(engine: Engine, markers: Sequence[Marker]) -> AsyncIterator[Finding]:
    snapshot = engine.ledger.snapshot
    merged = merge(snapshot.sessions.values(), markers, reserved=snapshot.reservations)
    for session_id in merged.corrected:
        session = merged.sessions[session_id]
        if session_id in snapshot.sessions:
            code, what = "RECORD_DIFFERS", "differs from its marker"
        else:
            code, what = "RECORD_MISSING", f"has a worktree and no record: {session.worktree_path}"
        message = f"session {session.name} ({session.id}) {what}"
        yield Finding(code, message, session_id, "take it from the marker")


async def _process_findings(engine: Engine, markers: Sequence[Marker]) -> AsyncIterator[Finding]:
    marked = {marker.session.id for marker in markers}
    for session_id, pid in (await _unknown_processes(engine)).items():
        if session_id not in marked:
            message = f"process {pid} runs for session {session_id}, which has no record"
            yield Finding("PROCESS_STRAY", message, session_id, "end it")
    for session_id, pid in (await _unrecorded_processes(engine)).items():
        message = (
            f"process {pid} runs for {label(engine, session_id)}, whose record names no process: "
            f"look at it, and end it with `kill {pid}`, before the session is resumed"
        )
        yield Finding("PROCESS_UNRECORDED", message, session_id)


async def _risk_findings(engine: Engine) -> AsyncIterator[Finding]:
    async with engine.providers.use(Role.TERMINAL) as spawner:
        for message in await spawner.warnings():
            yield Finding("TERMINAL_AT_RISK", message, is_risk=True)


async def _unknown_processes(engine: Engine) -> dict[SessionId, int]:
    """Return the process id of each session that has one to adopt, and no record."""
    kept = await _kept_processes(engine)
    snapshot = engine.ledger.snapshot
    return {
        session_id: pid
        for session_id, pid in kept.items()
        if session_id not in snapshot.sessions and session_id not in snapshot.reservations
    }


async def _unrecorded_processes(engine: Engine) -> dict[SessionId, int]:
    """Return the process id of each session that has one to adopt, though its record names none."""

    async def look() -> set[tuple[SessionId, int]]:
        return {
            (session_id, pid)
            for session_id, pid in (await _kept_processes(engine)).items()
            if (session := engine.ledger.get(session_id))
            and session.details.terminal_ref is None
            and await engine.claims.holder(session_id) is Holder.FREE
        }

    found = await look()
    # Twice, because the end of a process may be recorded before its keeper ends.
    return dict(found & await look()) if found else {}


async def _kept_processes(engine: Engine) -> dict[SessionId, int]:
    name = engine.config.terminal
    if not engine.providers.can(Role.TERMINAL, name, Capability.ADOPT):
        return {}
    async with engine.providers.use(Role.TERMINAL) as spawner:
        kept = await spawner.kept()
    await engine.ledger.refresh()  # afterwards: what was started since then is recorded by now
    return kept


async def _end_unknown_process(engine: Engine, session_id: SessionId) -> None:
    moment = now()
    session = Session(
        id=session_id,
        name="stray",
        status=SessionStatus.IDLE,
        branch="stray",
        worktree_path=engine.workspace,
        created_at=moment,
        last_activity=moment,
        details=Details(terminal=engine.config.terminal),
    )
    claim = await engine.claims.take(session_id)
    try:
        await sweep(engine, session)
        await forget_output(engine, session)
    finally:
        await engine.claims.give_back(claim)
