"""Finds and ends the processes that a dead host left behind."""

from __future__ import annotations

from collections.abc import Collection

from anyio import to_thread

from spinney.model import Session, SessionId
from spinney.ports import SweepReport
from spinney_pty._ending import end_all
from spinney_pty._launch import SESSION_ID, TERMINAL_ID, WORKSPACE
from spinney_pty._processes import (
    all_pids,
    ancestors,
    boot_id,
    environ_of,
    pid_namespace,
    stat_of,
)


async def sweep(
    session: Session, workspace: str, grace: float, ours: Collection[str]
) -> SweepReport:
    """End what carries the identity of ``session`` in ``workspace``; see ``TerminalSpawner.sweep``.

    Args:
        session: whose processes.
        workspace: absolute path that they must carry too: a copy of a workspace has the same
            session ids.
        grace: seconds between SIGTERM and SIGKILL.
        ours: terminal ids of our own living terminals, which are left alone.
    """
    carriers = _Carriers(session.id, workspace, ours)
    found, left = await end_all(carriers.belongs, grace)
    unknown = await to_thread.run_sync(lambda: carriers.doubtful(session))
    return SweepReport(
        found=tuple(sorted(found)), ended=tuple(sorted(found - left)), unknown=unknown
    )


class _Carriers:
    """Tells the processes of a session by their environment."""

    def __init__(self, session_id: SessionId, workspace: str, ours: Collection[str]) -> None:
        self._session = _entry(SESSION_ID, session_id)
        self._workspace = _entry(WORKSPACE, workspace)
        self._ours = {_entry(TERMINAL_ID, terminal_id) for terminal_id in ours}
        self._spared = ancestors()

    def belongs(self, pid: int) -> bool:
        entries = environ_of(pid) or frozenset()
        return (
            self._session in entries
            and self._workspace in entries
            and self._ours.isdisjoint(entries)
            and pid not in self._spared
        )

    def doubtful(self, session: Session) -> tuple[str, ...]:
        """Name the processes that may be the session's and were left alone, and why."""
        return tuple(
            f"process {pid}: {reason}"
            for pid in all_pids()
            if (reason := self._doubt(pid, session))
        )

    def _doubt(self, pid: int, session: Session) -> str:
        entries = environ_of(pid)
        if entries is None or self._session not in entries:
            if not _is_referred_to(pid, session):
                return ""
            return "was started as the session's process, but its environment does not say so"
        if self._workspace not in entries:
            return "carries the session's id, but belongs to another workspace"
        if pid in self._spared:
            return "belongs to the session, but this host runs in it"
        return ""


def _is_referred_to(pid: int, session: Session) -> bool:
    ref = session.details.terminal_ref or {}
    return (
        ref.get("pid") == pid
        and ref.get("bootId") == boot_id()
        and ref.get("pidNamespace") == pid_namespace()
        and (stat := stat_of(pid)) is not None
        and ref.get("startTime") == stat.start_time
        and stat.state != "Z"
    )


def _entry(name: str, value: str) -> bytes:
    return f"{name}={value}".encode(errors="surrogateescape")
