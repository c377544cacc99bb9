"""SIGKILL of the host at random moments of a create/update/destroy loop.

``FRITH_KILLS=200 FRITH_SEED=7 pytest tests/integration/test_sigkill.py`` kills more often, at
the moments and with the calls of an earlier run with that seed.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from waiting import pass_time

pytestmark = pytest.mark.expensive("starts hosts, each a process of its own")

KILLS = int(os.environ.get("FRITH_KILLS", "4"))
SEED = int(os.environ.get("FRITH_SEED", str(time.time_ns() % 1_000_000)))
STATE = ".claude-container-sessions.json"
AT_MOST = 4
COMMAND = ["sh", "-c", "trap '' HUP; while [ -e \"$FRITH_WORKSPACE/.git\" ]; do sleep 0.1; done"]
CHANGES_AT_RESTART = ("status", "ptyPid", "lastActivity")

Git = Callable[..., str]


@dataclass(frozen=True)
class Call:
    """One call of the loop."""

    method: str
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)


@dataclass
class Truth:
    """The expected state: the effect of all calls that returned, and perhaps of ``pending``."""

    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    branches: set[str] = field(default_factory=lambda: {"main"})
    kept: set[str] = field(default_factory=set)
    """Ids of worktrees whose sessions were destroyed without cleanup."""
    pending: Call | None = None
    calls: int = 0

    def next_call(self, chance: random.Random) -> Call:
        """Choose the next call."""
        self.calls += 1
        known = sorted(self.sessions)
        choice = chance.random()
        if len(known) < AT_MOST and (choice < 0.4 or not known):
            keywords = {"metadata": {"n": self.calls}, "command": COMMAND}
            return Call("create_session", (f"n{self.calls}",), {**keywords, "start": choice < 0.3})
        if choice < 0.7:
            change = {"metadata": {"n": self.calls}, "current_phase": str(self.calls)}
            return Call("update_session", (chance.choice(known),), change)
        return Call("destroy_session", (chance.choice(known),), {"cleanup": choice < 0.85})

    def returned(self, call: Call, value: Any) -> None:
        """Record the result of ``call``."""
        if call.method == "destroy_session":
            self._forget(call)
        else:
            self.sessions[value["id"]] = value
            self.branches.add(value["branch"])

    def _forget(self, call: Call) -> None:
        del self.sessions[call.arguments[0]]
        if not call.keywords["cleanup"]:
            self.kept.add(call.arguments[0])

    def settle(self, found: dict[str, dict[str, Any]]) -> None:
        """Decide from ``found`` whether the pending call took effect."""
        call, self.pending = self.pending, None
        if call is None:
            return
        if call.method == "create_session":
            for record in found.values():
                if record["name"] == call.arguments[0]:
                    self.returned(call, record)
        elif call.method == "destroy_session":
            if call.arguments[0] not in found:
                self._forget(call)
        elif found[call.arguments[0]].get("currentPhase") == call.keywords["current_phase"]:
            self.returned(call, found[call.arguments[0]])


def lasting(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in CHANGES_AT_RESTART}


def processes_of(workspace: Path) -> list[str]:
    """Return the command lines of processes with ``workspace`` in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"FRITH_WORKSPACE={workspace}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:  # ended, or of another user
            continue
    return found


def nothing_is_orphaned(truth: Truth, workspace: Path, git: Git) -> None:
    state = workspace / STATE
    stored = json.loads(state.read_text()) if state.exists() else {"sessions": [], "frith": {}}
    assert {record["id"] for record in stored["sessions"]} == truth.sessions.keys()
    assert not stored["frith"].get("reservations")
    worktrees = workspace / ".worktrees"
    there = {path.name for path in worktrees.iterdir()} if worktrees.exists() else set()
    assert there == truth.sessions.keys() | truth.kept
    listed = git(workspace, "worktree", "list", "--porcelain").split("\n\n")
    assert {Path(entry.split("\n")[0]).name for entry in listed if entry.strip()} == {
        workspace.name,
        *there,
    }
    branches = git(workspace, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    assert set(branches.split()) == truth.branches
    assert processes_of(workspace) == []


def agrees(host: Any, truth: Truth) -> None:
    """Require that ``host`` has restored the expected sessions and that none has an owner."""
    found = {record["id"]: record for record in host.restored}
    truth.settle(found)
    expected = {key: lasting(record) for key, record in truth.sessions.items()}
    assert {key: lasting(record) for key, record in found.items()} == expected
    assert not any("ptyPid" in record for record in found.values())
    # stopped: a call to destroy it was killed after it had ended the process
    assert {record["status"] for record in found.values()} <= {"idle", "stopped"}
    for session_id in found:
        assert host.call("holder", session_id) == "free"


def work_until_killed(host: Any, truth: Truth, chance: random.Random, gone: Any) -> None:
    killer = threading.Timer(chance.uniform(0.0, 0.5), host.process.kill)
    killer.start()
    try:
        while True:
            truth.pending = truth.next_call(chance)
            value = host.call(
                truth.pending.method, *truth.pending.arguments, **truth.pending.keywords
            )
            truth.returned(truth.pending, value)
            truth.pending = None
    except gone:
        killer.join()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.requirement("R3.5")
@pytest.mark.requirement("R4.1")
@pytest.mark.requirement("R4.3")
@pytest.mark.requirement("R2.2")
@pytest.mark.timeout(300 + 10 * KILLS)
def test_after_a_host_is_killed_every_completed_change_is_stored_and_nothing_is_orphaned(
    start_host: Callable[..., Any], workspace: Path, git: Git
) -> None:
    print(f"FRITH_KILLS={KILLS} FRITH_SEED={SEED}")
    chance = random.Random(SEED)
    truth = Truth()
    for _ in range(KILLS):
        host = start_host()
        if chance.random() < 0.2:
            pass_time(chance, 0.8)
            host.kill()
            continue
        agrees(host, truth)
        nothing_is_orphaned(truth, workspace, git)
        work_until_killed(host, truth, chance, host.Gone)
        host.close()
    host = start_host()
    agrees(host, truth)
    nothing_is_orphaned(truth, workspace, git)
