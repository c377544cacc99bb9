"""The steps of the demo. Each performs an operation and checks the result."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGKILL
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from frith import ManagerConfig, SessionManager
from frith.errors import FrithError
from frith.events import SessionsRecovered, SessionsRestored
from frith.hookspecs import hookimpl
from frith.model import Session, SessionStatus
from frith.ports import Holder
from frith_cli.demo import host
from frith_cli.demo.checks import Checks
from frith_cli.demo.repository import git, runs, temporary_repository
from frith_cli.opening import routed_logs

STATE_FILE = ".claude-container-sessions.json"
_HOST_MUST_BE_READY = 30.0
_NOTES = "half a thought, not committed\n"


async def run(*, keep: bool) -> int:
    """Run all steps in a temporary repository and return the exit code."""
    checks = Checks()
    with temporary_repository(keep=keep) as workspace:
        config = ManagerConfig(workspace=workspace, terminate_grace=2.0)
        with routed_logs(config, 0):
            try:
                await _Steps(config, checks).run()
            except Exception as error:  # the checks before it are summed up
                checks.check("Nothing fails unexpectedly", False, error)
    return checks.sum_up()


class _Witness:
    """A plugin of the host, which records the events of its hooks."""

    def __init__(self) -> None:
        self.restored: list[SessionsRestored] = []
        self.recovered: list[SessionsRecovered] = []

    @hookimpl
    async def frith_sessions_restored(self, event: SessionsRestored) -> None:
        self.restored.append(event)

    @hookimpl
    async def frith_sessions_recovered(self, event: SessionsRecovered) -> None:
        self.recovered.append(event)


class _Steps:
    """The steps, and what they have in common."""

    def __init__(self, config: ManagerConfig, checks: Checks) -> None:
        self.config = config
        self.checks = checks
        self.state = config.workspace / STATE_FILE
        self.notes = Path()
        self.pids: dict[str, int] = {}
        self.before: dict[str, Any] = {}

    async def run(self) -> None:
        """Run all steps."""
        self.checks.step("A host creates three sessions, each with a process")
        async with self._host() as started:
            await self._see_from_another_process()
            self.checks.step("The host is killed with SIGKILL")
            started.kill()
            self._see_what_is_left(await started.wait())
        self.checks.step("The next host restores the sessions")
        await self._restore()
        self.checks.step("The state file is damaged")
        await self._recover()
        self.checks.step("Sessions are removed, work is not")
        await self._remove()

    @asynccontextmanager
    async def _host(self) -> AsyncIterator[Process]:
        command = [sys.executable, "-P", "-m", host.__name__, str(self.config.workspace)]
        # The host ends when its standard input does, even if this process is killed.
        async with await anyio.open_process(command, stderr=None) as started:
            with anyio.fail_after(_HOST_MUST_BE_READY):
                said = await _line(started)
            self.checks.same("The host is ready", said, b"ready")
            yield started

    async def _see_from_another_process(self) -> None:
        async with SessionManager(self.config, restore=False) as manager:
            sessions = manager.get_all_sessions()
            holders = {await manager.holder(session.id) for session in sessions}
        self.pids = {s.name: s.pty_pid for s in sessions if s.pty_pid is not None}
        checks, names = self.checks, list(host.SESSIONS)
        checks.same("Another process sees them", [s.name for s in sessions], names)
        checks.check("Each has its branch in its worktree", all(map(_worktree_of, sessions)))
        checks.same("Each has a process", [n for n, pid in self.pids.items() if runs(pid)], names)
        checks.same("Each is owned by the living host", holders, {Holder.HELD})
        self.notes = Path(sessions[0].worktree_path, "notes.txt")
        self.notes.write_text(_NOTES, "utf-8")
        checks.say(f"An agent writes {self.notes.name} in {names[0]} and does not commit it.")

    def _see_what_is_left(self, code: int) -> None:
        self.before = self._records()
        self.checks.same("It could not clean up", code, -SIGKILL)
        self.checks.check("A process that ignores SIGHUP continues", runs(self.pids["stubborn"]))
        self.checks.check("The state file is readable", len(self.before) == 3, self.before)

    async def _restore(self) -> None:
        checks, witness = self.checks, _Witness()
        async with SessionManager(self.config, plugins={"demo": witness}) as manager:
            sessions = manager.get_all_sessions()
            now, before = _lasting(self._records()), _lasting(self.before)
            checks.same("All are back, as they were", now, before)
            checks.same("A hook was called", [len(e.sessions) for e in witness.restored], [3])
            checks.same("All are idle", {s.status for s in sessions}, {SessionStatus.IDLE})
            checks.same("None has a process", [s.pty_pid for s in sessions], [None] * 3)
            checks.check("The process left behind is gone", not runs(self.pids["stubborn"]))
            checks.same("Uncommitted work is untouched", self.notes.read_text("utf-8"), _NOTES)
            stubborn = sessions[-1]
            checks.same("Metadata are untouched", stubborn.metadata, host.METADATA)
            checks.same("The phase is untouched", stubborn.current_phase, host.PHASE)
            await self._resume(manager, sessions[0])
            await self._reach_the_limit(manager)

    async def _resume(self, manager: SessionManager, session: Session) -> None:
        command = ("sh", "-c", f"cat {self.notes.name}; read answer; exit $answer")
        await manager.resume_session(session.id, command=command)
        terminal = manager.terminal(session.id)
        await terminal.write(b"0\n")
        await terminal.drained()
        async with terminal.attach() as view:
            shown = view.snapshot.decode()
        ended = await manager.wait_ended(session.id)
        self.checks.check("A resumed session finds its work", _NOTES.strip() in shown, shown)
        self.checks.same("With exit code 0 it is stopped", ended.status, SessionStatus.STOPPED)

    async def _reach_the_limit(self, manager: SessionManager) -> None:
        await manager.create_session("fourth", start=False)
        message = "Maximum 4 sessions supported. Destroy a session to create a new one."
        refusal = await _refused(manager.create_session("fifth", start=False))
        self.checks.same("A fifth session is refused", refusal, ("MAX_SESSIONS", message))
        self.checks.same("Nothing of it remains", _branches(self.config.workspace, "fifth"), "")

    async def _recover(self) -> None:
        checks, witness = self.checks, _Witness()
        before = self._records()
        damaged = self.state.read_bytes()[:-200]
        self.state.write_bytes(damaged)
        async with SessionManager(self.config, plugins={"demo": witness}):
            checks.same("A hook was called", len(witness.recovered), 1)
        checks.same("Every record is rebuilt without loss", self._records(), before)
        kept = [path for path in self._beside_the_state() if path.read_bytes() == damaged]
        checks.check("The damaged file is kept aside", bool(kept), self._beside_the_state())
        self.state.unlink()
        async with SessionManager(self.config):
            checks.same("Deleting the file loses nothing either", self._records(), before)

    async def _remove(self) -> None:
        checks = self.checks
        async with SessionManager(self.config) as manager:
            first, second, third, fourth = manager.get_all_sessions()
            code, why = await _refused(manager.destroy_session(first.id, cleanup=True))
            checks.same("Cleaning up uncommitted work is refused", code, "WORK_AT_STAKE")
            checks.check("The refusal names the work", self.notes.name in why, why)
            checks.same("The work still exists", self.notes.read_text("utf-8"), _NOTES)
            await manager.destroy_session(first.id, cleanup=True, force=True)
            checks.check("With force, the worktree is removed", not self.notes.parent.exists())
            for session in (second, third):
                await manager.destroy_session(session.id)
            checks.check("Without cleanup, worktrees stay", all(map(_worktree_of, (second, third))))
            branches = [_branches(self.config.workspace, name) for name in host.SESSIONS]
            checks.check("Branches always stay", all(branches), branches)
        self.state.unlink()
        async with SessionManager(self.config) as manager:
            names = [session.name for session in manager.get_all_sessions()]
            checks.same("A rebuild brings back nothing that was destroyed", names, [fourth.name])

    def _records(self) -> dict[str, Any]:
        stored = json.loads(self.state.read_text("utf-8"))
        return {record["id"]: record for record in stored["sessions"]}

    def _beside_the_state(self) -> list[Path]:
        return [p for p in self.config.workspace.iterdir() if p.is_file() and p != self.state]


async def _line(started: Process) -> bytes:
    """Return the first line that a process prints."""
    assert started.stdout is not None  # noqa: S101 - for the type checker
    return await BufferedByteReceiveStream(started.stdout).receive_until(b"\n", 100)


def _lasting(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return ``records`` without what the end of a process changes."""
    changing = ("status", "ptyPid")
    return {i: {k: v for k, v in r.items() if k not in changing} for i, r in records.items()}


def _worktree_of(session: Session) -> bool:
    """Return whether git, asked in the session's worktree, finds the session's branch there."""
    seen = git(Path(session.worktree_path), "symbolic-ref", "--short", "HEAD")
    return seen.strip() == session.branch


def _branches(workspace: Path, name: str) -> str:
    return git(workspace, "branch", "--list", f"feature/{name}")


async def _refused(doing: Any) -> tuple[str, str]:
    """Return the code and the message with which ``doing`` is refused."""
    try:
        await doing
    except FrithError as error:
        return error.code, str(error)
    return "", "it was not refused"
