"""What puts things in order: ``rebuild`` and ``doctor``."""

from __future__ import annotations

from dataclasses import asdict

from pydantic.alias_generators import to_camel

from frith import Finding
from frith_cli._app import REFUSED, App
from frith_cli._console import note, progress, write_json, write_table
from frith_cli._guard import Guard, drive
from frith_cli._opening import opened
from frith_cli._view import COLUMNS, LESS_NEEDED, View, view


def rebuild(app: App, *, dry_run: bool) -> int:
    """Restore sessions from what their worktrees remember, and print those that changed."""

    async def restore(guard: Guard) -> list[View]:
        async with opened(app, guard, restore=not dry_run) as manager:
            with progress("Looking into the worktrees"):
                sessions = await manager.rebuild_from_worktrees(dry_run=dry_run)
            return [await view(manager, session) for session in sessions]

    changed = drive(restore)
    if app.as_json:
        write_json([each.to_json() for each in changed])
    elif changed:
        write_table(COLUMNS, [each.row() for each in changed], less_needed=LESS_NEEDED)
    else:
        note("Nothing to rebuild: the record holds all that the worktrees remember.")
    return 0


def doctor(app: App, *, fix: bool) -> int:
    """Print what is wrong, with ``fix`` after repairing what can be; fail if anything remains."""

    async def examine(guard: Guard) -> tuple[Finding, ...]:
        async with opened(app, guard, restore=False) as manager:
            with progress("Comparing the record, the worktrees and the processes"):
                return await (manager.repair() if fix else manager.diagnose())

    findings = drive(examine)
    if app.as_json:
        write_json([_to_json(finding) for finding in findings])
    elif findings:
        write_table(
            ("FINDING", "SESSION", "WHAT", "REPAIRED" if fix else "REPAIR"),
            [
                (f.code, (f.session_id or "-")[:8], f.message, _outcome(f, fix=fix))
                for f in findings
            ],
        )
    else:
        note("All is well.")
    return 0 if all(finding.repaired for finding in findings) else REFUSED


def _to_json(finding: Finding) -> dict[str, object]:
    return {to_camel(name): value for name, value in asdict(finding).items()}


def _outcome(finding: Finding, *, fix: bool) -> str:
    if finding.repaired:
        return "yes"
    remedy = finding.remedy or "by hand"
    return f"no: {remedy}" if fix else remedy
