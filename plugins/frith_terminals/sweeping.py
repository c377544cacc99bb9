"""Finds and ends the processes that a dead host left behind."""

from __future__ import annotations

from collections.abc import Collection

from anyio import CapacityLimiter, to_thread

from frith.model import Session
from frith.ports import SweepReport
from frith_os.processes import all_pids, ancestors, environ_of, is_here, start_time, stat_of
from frith_terminals.ending import end_all, searching
from frith_terminals.environment import SESSION_ID, TERMINAL_ID, WORKSPACE


async def sweep(
    session: Session,
    workspace: str,
    grace: float,
    ours: Collection[str],
    limiter: CapacityLimiter | None,
) -> SweepReport:
    """End the processes with the identity of ``session``; see ``TerminalSpawner.sweep``.

    Args:
        session: whose processes.
        workspace: absolute path, which they must have in their environment, too, because a copy
            of a workspace has the same session ids.
        grace: seconds between SIGTERM and SIGKILL.
        ours: ids of terminals of this host, whose processes are spared.
        limiter: limits the threads that look for them.
    """
    with searching():
        carriers = _Carriers(session, workspace, ours)
        found, left = await end_all(carriers.belongs, grace, limiter=limiter)
        unknown = await to_thread.run_sync(carriers.doubtful, limiter=limiter)
    return SweepReport(
        found=tuple(sorted(found)), ended=tuple(sorted(found - left)), unknown=unknown
    )


class _Carriers:
    """Recognises the processes of a session by their environment or their kernel session.

    A process that has cleared its environment belongs to it if a process in the same kernel
    session has not, and the leader of that carries the identity or is the recorded one: only
    descendants of the leader can be in there.
    """

    def __init__(self, session: Session, workspace: str, ours: Collection[str]) -> None:
        self._session = _entry(SESSION_ID, session.id)
        self._workspace = _entry(WORKSPACE, workspace)
        self._ours = {_entry(TERMINAL_ID, terminal_id) for terminal_id in ours}
        self._spared = ancestors()
        self._ref = _reference(session)
        self._led: dict[int, str | None] = {}
        """Start time of the leader of each kernel session that is the session's, if it lives."""

    def belongs(self, pid: int) -> bool:
        if pid in self._spared or (stat := stat_of(pid)) is None:
            return False
        if self._carries(pid):
            self._learn(stat.session)
            return True
        leads = self._led.get(stat.session, "")
        # With another leader of that id it is another kernel session by now.
        return leads != "" and leads == start_time(stat.session)

    def _carries(self, pid: int) -> bool:
        entries = environ_of(pid) or frozenset()
        return (
            self._session in entries
            and self._workspace in entries
            and self._ours.isdisjoint(entries)
        )

    def _learn(self, leader: int) -> None:
        started = start_time(leader)
        recorded = self._ref == (leader, started) or (started is None and self._ref[0] == leader)
        if leader not in self._spared and (recorded or self._carries(leader)):
            self._led[leader] = started

    def doubtful(self) -> tuple[str, ...]:
        """Return the processes that may be the session's and were spared, and why."""
        return tuple(
            f"process {pid}: {reason}" for pid in all_pids() if (reason := self._doubt(pid))
        )

    def _doubt(self, pid: int) -> str:
        entries = environ_of(pid)
        if entries is None or self._session not in entries:
            stat = stat_of(pid)
            if stat is None or stat.state == "Z" or self._ref != (pid, stat.start_time):
                return ""
            return "was started as the session's process, but does not have its environment"
        if self._workspace not in entries:
            return "has the session's id, but belongs to another workspace"
        if pid in self._spared:
            return "belongs to the session, but this host runs in it"
        return ""


def _reference(session: Session) -> tuple[object, object]:
    """Return process id and start time of the recorded leader, if they are of this boot."""
    ref = session.details.terminal_ref or {}
    return (ref.get("pid"), ref.get("startTime")) if is_here(ref) else (None, None)


def _entry(name: str, value: str) -> bytes:
    return f"{name}={value}".encode(errors="surrogateescape")
