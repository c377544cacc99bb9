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

from frith import ManagerConfig, SessionManager
from frith.errors import FrithError
from frith.events import SessionsRecovered, SessionsRestored
from frith.hookspecs import hookimpl
from frith.model import Session, SessionStatus
from frith.ports import Holder
from frith_cli.console import write
from frith_cli.demo import host
from frith_cli.demo.checks import Checks
from frith_cli.demo.repository import git, runs, temporary_repository
from frith_cli.guard import guarded
from frith_cli.opening import routed_logs

_STATE_FILE = ".claude-container-sessions.json"
_SECONDS_TO_START = 30.0
_NOTES = "half a thought, not committed\n"


async def run(*, keep: bool) -> int:
    """Run all steps in a temporary repository and return the exit code."""
    checks = Checks()
    async with guarded():
        with temporary_repository(keep=keep) as workspace:
            config = ManagerConfig(workspace=workspace, terminate_grace=2.0)
            with routed_logs(0):
                try:
                    await _Steps(config, checks).run()
                except Exception as error:  # the checks before it are summed up
                    checks.check("Nothing fails unexpectedly", error, None)
    return checks.sum_up()


class _Witness:
    """A plugin of the host: records the numbers of sessions that its hooks are called with."""

    def __init__(self) -> None:
        self.restored: list[int] = []
        self.recovered: list[int] = []

    @hookimpl
    async def frith_sessions_restored(self, event: SessionsRestored) -> None:
        self.restored.append(len(event.sessions))

    @hookimpl
    async def frith_sessions_recovered(self, event: SessionsRecovered) -> None:
        self.recovered.append(len(event.sessions))


class _Steps:
    """The steps, and what they have in common."""

    def __init__(self, config: ManagerConfig, checks: Checks) -> None:
        self._config = config
        self._workspace = config.workspace
        self._state = config.workspace / _STATE_FILE
        self._step = checks.step
        self._check = checks.check
        self._notes = Path()
        self._stubborn = 0

    async def run(self) -> None:
        """Run all steps."""
        check = self._check
        self._step("A host creates three sessions, each with a process")
        async with self._host() as started:
            await self._see_from_another_process()
            self._step("The host is killed with SIGKILL")
            started.kill()
            check("It could not clean up", await started.wait(), -SIGKILL)
            check("A process that ignores SIGHUP continues", runs(self._stubborn))
            check("The state file is readable", len(left := self._records()), 3)
        self._step("The next host restores the sessions")
        await self._restore(left)
        self._step("The state file is damaged")
        await self._recover()
        self._step("Sessions are removed, work is not")
        await self._remove()

    @asynccontextmanager
    async def _host(self) -> AsyncIterator[Process]:
        command = [sys.executable, "-P", "-m", host.__name__, str(self._workspace)]
        # The host ends when its standard input does, even if this process is killed.
        async with await anyio.open_process(command, stderr=None) as started:
            assert started.stdout is not None  # noqa: S101 - for the type checker
            with anyio.fail_after(_SECONDS_TO_START):
                said = await started.stdout.receive()
            self._check("The host is ready", said.strip(), b"ready")
            yield started

    async def _see_from_another_process(self) -> None:
        async with SessionManager(self._config, restore=False) as manager:
            sessions = manager.get_all_sessions()
            holders = {await manager.holder(session.id) for session in sessions}
        check, names = self._check, list(host.SESSIONS)
        pids = {each.name: each.pty_pid or 0 for each in sessions}
        check("Another process sees them", list(pids), names)
        check("Each has its branch in its worktree", all(map(_worktree_of, sessions)))
        check("Each has a process", [name for name, pid in pids.items() if runs(pid)], names)
        check("Each is owned by the living host", holders, {Holder.HELD})
        self._stubborn = pids["stubborn"]
        self._notes = Path(sessions[0].worktree_path, "notes.txt")
        self._notes.write_text(_NOTES, "utf-8")
        write(f"   An agent writes {self._notes.name} in {names[0]} and does not commit it.")

    async def _restore(self, left: Mapping[str, Any]) -> None:
        check, witness = self._check, _Witness()
        async with SessionManager(self._config, plugins={"demo": witness}) as manager:
            sessions = manager.get_all_sessions()
            check("All are back, as they were", _lasting(self._records()), _lasting(left))
            check("A hook was called", witness.restored, [3])
            check("All are idle", {each.status for each in sessions}, {SessionStatus.IDLE})
            check("None has a process", {each.pty_pid for each in sessions}, {None})
            check("The process left behind is gone", runs(self._stubborn), False)
            check("Uncommitted work is untouched", self._notes.read_text("utf-8"), _NOTES)
            check("Metadata are untouched", sessions[-1].metadata, host.METADATA)
            check("The phase is untouched", sessions[-1].current_phase, host.PHASE)
            await self._resume(manager, sessions[0])
            await self._reach_the_limit(manager)

    async def _resume(self, manager: SessionManager, session: Session) -> None:
        command = ("sh", "-c", f"cat {self._notes.name}; read answer; exit $answer")
        await manager.resume_session(session.id, command=command)
        terminal = manager.terminal(session.id)
        await terminal.write(b"0\n")
        await terminal.drained()
        async with terminal.attach() as view:
            shown = view.snapshot.decode().splitlines()
        ended = await manager.wait_ended(session.id)
        self._check("A resumed session finds its work", _NOTES.strip() in shown)
        self._check("With exit code 0 it is stopped", ended.status, SessionStatus.STOPPED)

    async def _reach_the_limit(self, manager: SessionManager) -> None:
        await manager.create_session("fourth", start=False)
        message = "Maximum 4 sessions supported. Destroy a session to create a new one."
        refusal = await _refused(manager.create_session("fifth", start=False))
        self._check("A fifth session is refused", refusal, ("MAX_SESSIONS", message))
        self._check("Nothing of it remains", self._branches("fifth"), [])

    async def _recover(self) -> None:
        check, witness, before = self._check, _Witness(), self._records()
        damaged = self._state.read_bytes()[:-200]
        self._state.write_bytes(damaged)
        async with SessionManager(self._config, plugins={"demo": witness}):
            check("A hook was called", len(witness.recovered), 1)
        check("Every record is rebuilt without loss", self._records(), before)
        beside = [each for each in self._workspace.iterdir() if each.is_file()]
        kept = any(each.read_bytes() == damaged for each in beside)
        check("The damaged file is kept aside", kept)
        self._state.unlink()
        async with SessionManager(self._config):
            check("Deleting the file loses nothing either", self._records(), before)

    async def _remove(self) -> None:
        check = self._check
        async with SessionManager(self._config) as manager:
            first, second, third, fourth = manager.get_all_sessions()
            code, why = await _refused(manager.destroy_session(first.id, cleanup=True))
            check("Cleaning up uncommitted work is refused", code, "WORK_AT_STAKE")
            check("The refusal names the work", self._notes.name in why)
            check("The work still exists", self._notes.read_text("utf-8"), _NOTES)
            await manager.destroy_session(first.id, cleanup=True, force=True)
            check("With force, the worktree is removed", self._notes.parent.exists(), False)
            for session in (second, third):
                await manager.destroy_session(session.id)
            check("Without cleanup, worktrees stay", all(map(_worktree_of, (second, third))))
            check("Branches always stay", all(map(self._branches, host.SESSIONS)))
        self._state.unlink()
        async with SessionManager(self._config) as manager:
            names = [session.name for session in manager.get_all_sessions()]
            check("A rebuild brings back nothing that was destroyed", names, [fourth.name])

    def _records(self) -> dict[str, Any]:
        stored = json.loads(self._state.read_text("utf-8"))
        return {record["id"]: record for record in stored["sessions"]}

    def _branches(self, name: str) -> list[str]:
        return git(self._workspace, "branch", "--list", f"feature/{name}").split()


def _lasting(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return ``records`` without what the end of a process changes."""
    changing = {"status": None, "ptyPid": None}
    return {id_: {**record, **changing} for id_, record in records.items()}


def _worktree_of(session: Session) -> bool:
    """Return whether git, asked in the session's worktree, finds the session's branch there."""
    seen = git(Path(session.worktree_path), "symbolic-ref", "--short", "HEAD")
    return seen.strip() == session.branch


async def _refused(doing: Any) -> tuple[str, str]:
    """Return the code and the message with which ``doing`` is refused."""
    try:
        await doing
    except FrithError as error:
        return error.code, str(error)
    return "", "it was not refused"
