"""The flow that compares record, worktrees, owners and markers, and mends what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from frith._engine.context import Engine
from frith._flows.rebuild import merge, rebuild, remembered
from frith._flows.start import locations, reconcile
from frith._flows.takeover import end_stray, strays, unrecorded, write_marker
from frith._flows.terminals import adopt
from frith.errors import TerminalError
from frith.model import Session, SessionId
from frith.ports import Holder, Location, Marker, Presence
from frith.providers import Role


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    code: str
    """Stable name of the kind of finding."""
    message: str
    """What is wrong, for a person."""
    session_id: SessionId | None = None
    remedy: str = ""
    """What repairing would do; empty if nothing can be done here."""
    repaired: bool = False


async def diagnose(engine: Engine) -> tuple[Finding, ...]:
    """Return what is not as it should be; changes nothing."""
    await engine.ledger.refresh()
    markers = await remembered(engine)
    findings = [
        *_about_worktrees(engine, await locations(engine)),
        *await _about_owners(engine),
        *await _about_reservations(engine),
        *await _about_removals(engine),
        *_about_markers(engine, markers),
        *await _about_strays(engine, markers),
    ]
    return tuple(findings)


async def repair(engine: Engine) -> tuple[Finding, ...]:
    """Mend what can be mended; return what was found, each with whether it is repaired."""
    found = await diagnose(engine)
    if not found:
        return ()
    async with engine.providers.use(Role.WORKSPACE) as workspace:
        await workspace.repair()
    for session_id, location in (await locations(engine)).items():
        if location.presence in (Presence.PRESENT, Presence.MOVED):
            await _relocate(engine, session_id, location.path)
    await rebuild(engine, dry_run=False)
    await reconcile(engine)
    for session_id in await strays(engine):
        await end_stray(engine, session_id)
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


def _label(session: Session) -> str:
    return f"session {session.name} ({session.id})"


def _about_worktrees(engine: Engine, where: dict[SessionId, Location]) -> list[Finding]:
    findings = []
    for session in engine.ledger.all():
        location = where.get(session.id)
        if location is None or location.presence is Presence.PRESENT or session.details.removing:
            continue
        if location.presence is Presence.MISSING:
            finding = Finding(
                "WORKTREE_MISSING",
                f"the worktree of {_label(session)} is gone: {location.path}; "
                "resuming the session re-creates it from its branch",
                session.id,
            )
        elif location.presence is Presence.MOVED:
            finding = Finding(
                "WORKTREE_MOVED",
                f"the worktree of {_label(session)} lies at {location.path} now",
                session.id,
                "mend git's pointers and record the new path",
            )
        elif location.presence is Presence.REDIRECTED:
            finding = Finding(
                "WORKTREE_REDIRECTED",
                f"{_label(session)} cannot be worked in: {location.reason}",
                session.id,
            )
        else:
            finding = Finding(
                "WORKTREE_UNKNOWN",
                f"cannot tell whether the worktree of {_label(session)} is there",
                session.id,
            )
        findings.append(finding)
    return findings


async def _about_owners(engine: Engine) -> list[Finding]:
    findings = []
    for session in engine.ledger.all():
        if session.pty_pid is None and session.details.terminal_ref is None:
            continue
        holder = await engine.claims.holder(session.id)
        if holder is Holder.FREE:
            try:
                if await adopt(engine, session) is not None:
                    continue  # its host has left it for the next one
            except TerminalError as error:
                message = f"the terminal of {_label(session)} cannot be reached: {error}"
                findings.append(Finding("TERMINAL_UNREACHABLE", message, session.id))
                continue
            findings.append(
                Finding(
                    "OWNER_GONE",
                    f"{_label(session)} is recorded as running, and its owner is gone",
                    session.id,
                    "end what was left running and make the session idle",
                )
            )
        elif holder is Holder.UNKNOWN:
            findings.append(
                Finding(
                    "OWNER_UNKNOWN",
                    f"cannot tell whether the owner of {_label(session)} is alive",
                    session.id,
                )
            )
    return findings


async def _about_reservations(engine: Engine) -> list[Finding]:
    return [
        Finding(
            "CREATION_UNFINISHED",
            f"the creation of session {reservation.name} ({reservation.id}) was cut off",
            reservation.id,
            "undo it, or finish it if its worktree holds work",
        )
        for reservation in engine.ledger.snapshot.reservations.values()
        if await engine.claims.holder(reservation.id) is Holder.FREE
    ]


async def _about_removals(engine: Engine) -> list[Finding]:
    return [
        Finding(
            "REMOVAL_UNFINISHED",
            f"the removal of {_label(session)} was cut off",
            session.id,
            "finish it, or undo it if its worktree is still there",
        )
        for session in engine.ledger.all()
        if session.details.removing and await engine.claims.holder(session.id) is Holder.FREE
    ]


async def _about_strays(engine: Engine, markers: Sequence[Marker]) -> list[Finding]:
    remembered_ids = {marker.session.id for marker in markers}
    findings = [
        Finding(
            "PROCESS_STRAY",
            f"process {pid} runs for session {session_id}, of which there is no record",
            session_id,
            "end it",
        )
        for session_id, pid in (await strays(engine)).items()
        if session_id not in remembered_ids
    ]
    for session_id, pid in (await unrecorded(engine)).items():
        session = await engine.ledger.need(session_id)
        what = f"process {pid} runs for {_label(session)}, whose record names none: look at it"
        message = f"{what}, and end it with `kill {pid}`, before the session is resumed"
        findings.append(Finding("PROCESS_UNRECORDED", message, session_id))
    return findings


def _about_markers(engine: Engine, markers: Sequence[Marker]) -> list[Finding]:
    snapshot = engine.ledger.snapshot
    merged = merge(snapshot.sessions.values(), markers, reserved=snapshot.reservations)
    findings = []
    for session_id in merged.corrected:
        session = merged.sessions[session_id]
        if session_id in snapshot.sessions:
            code, what = "RECORD_DIFFERS", "differs from what its worktree remembers"
        else:
            code, what = "RECORD_MISSING", f"has a worktree and no record: {session.worktree_path}"
        findings.append(
            Finding(code, f"{_label(session)} {what}", session_id, "take it from the worktree")
        )
    return findings
