"""``rebuild`` and ``doctor``."""

from __future__ import annotations

from dataclasses import asdict

from pydantic.alias_generators import to_camel

from frith import Finding
from frith_cli.console import note, progress, write_json, write_table
from frith_cli.context import REFUSED, App
from frith_cli.opening import opened
from frith_cli.sessions import COLUMNS, OPTIONAL, view


async def rebuild(app: App, *, dry_run: bool) -> int:
    """Restore sessions from the markers in their worktrees, and print those that changed."""
    async with opened(app, restore=not dry_run) as manager:
        with progress("Reading the worktrees"):
            sessions = await manager.rebuild_from_worktrees(dry_run=dry_run)
        changed = [await view(manager, session) for session in sessions]
    if app.as_json:
        write_json([each.to_json() for each in changed])
    elif changed:
        write_table(COLUMNS, [each.row() for each in changed], optional=OPTIONAL)
    else:
        note("Nothing to rebuild: the state file agrees with the worktrees.")
    return 0


async def doctor(app: App, *, fix: bool) -> int:
    """Print what is wrong, with ``fix`` after repairing it; refuse if damage remains."""
    async with opened(app, restore=False) as manager:
        with progress("Comparing the state file, the worktrees and the processes"):
            findings = await (manager.repair() if fix else manager.diagnose())
    if app.as_json:
        write_json([{to_camel(k): v for k, v in asdict(each).items()} for each in findings])
    elif findings:
        write_table(
            ("FINDING", "SESSION", "WHAT", "REPAIRED" if fix else "REPAIR"),
            [
                (f.code, (f.session_id or "-")[:8], f.message, _outcome(f, fix=fix))
                for f in findings
            ],
        )
    else:
        note("No findings.")
    return 0 if all(each.repaired or each.is_risk for each in findings) else REFUSED


def _outcome(finding: Finding, *, fix: bool) -> str:
    if finding.repaired:
        return "yes"
    remedy = finding.remedy or "by hand"
    return f"no: {remedy}" if fix else remedy
