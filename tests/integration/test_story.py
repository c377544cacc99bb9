"""Sessions with real git, real processes, a real SIGKILL and a second host."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.expensive("starts hosts, each a process of its own")

STATE = ".claude-container-sessions.json"
WORK = ["sh", "-c", "while [ -e . ]; do sleep 0.1; done"]
STUBBORN = ["sh", "-c", "trap '' HUP; while [ -e \"$FRITH_WORKSPACE/.git\" ]; do sleep 0.1; done"]
METADATA = {"ticket": 42, "big": 12345678901234567890, "deep": {"list": [1.5, None, "é"]}}

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])

Start = Callable[..., Any]
Git = Callable[..., str]


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    with suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return not stat.parent.parent.joinpath("self").exists()


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def by_id(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in records}


def code_of(error: pytest.ExceptionInfo[BaseException]) -> str:
    return str(getattr(error.value, "code", error.value))


@pytest.fixture
def refused() -> Any:
    """Expect that the host refuses a call."""
    return pytest.raises(Exception, match=r"^\('[A-Z_]+', ")


@on_both_backends
@pytest.mark.requirement("R3.7")
@pytest.mark.requirement("R3.5")
def test_a_second_host_sees_the_changes_of_the_first(start_host: Start) -> None:
    first = start_host()
    created = first.call("create_session", "one", command=WORK)
    changed = first.call("update_session", created["id"], current_phase="p", metadata=METADATA)
    second = start_host()
    assert second.restored == [changed]
    assert changed["metadata"] == METADATA


@pytest.mark.requirement("R4.2")
@pytest.mark.requirement("R2.11")
def test_a_session_of_a_running_host_cannot_be_resumed_by_another(
    start_host: Start, refused: Any
) -> None:
    first = start_host()
    created = first.call("create_session", "one", command=WORK)
    second = start_host()
    assert second.restored[0]["ptyPid"] == created["ptyPid"]
    assert second.call("holder", created["id"]) == "held"
    with refused as error:
        second.call("resume_session", created["id"])
    assert code_of(error) == "SESSION_OWNED"
    assert lives(created["ptyPid"])


@on_both_backends
def test_a_session_can_be_stopped_by_another_host(start_host: Start) -> None:
    first = start_host()
    created = first.call("create_session", "one", command=WORK)
    stopped = start_host().call("stop_session", created["id"])
    assert stopped["status"] == "stopped"
    assert not lives(created["ptyPid"])


@on_both_backends
@pytest.mark.requirement("R1.3")
def test_a_host_that_closes_ends_its_processes_and_leaves_idle_sessions(start_host: Start) -> None:
    first = start_host()
    created = first.call("create_session", "one", command=WORK)
    assert first.leave() == 0
    assert not lives(created["ptyPid"])
    assert [session["status"] for session in start_host().restored] == ["idle"]


@on_both_backends
@pytest.mark.requirement("R4.1")
@pytest.mark.requirement("R1.6")
def test_sessions_of_a_killed_host_are_restored_idle_with_all_fields(
    start_host: Start, workspace: Path
) -> None:
    first = start_host()
    created = first.call("create_session", "one", command=WORK)
    first.call("update_session", created["id"], current_phase="p", metadata=METADATA)
    first.call("create_session", "two", start=False)
    first.kill()
    before = json.loads((workspace / STATE).read_text())["sessions"]
    restored = start_host().restored
    changing = ("status", "ptyPid", "command")
    assert [without(s, *changing) for s in restored] == [without(s, *changing) for s in before]
    assert [session["status"] for session in restored] == ["idle", "idle"]
    assert not any("ptyPid" in session for session in restored)


@on_both_backends
@pytest.mark.requirement("R4.3")
def test_a_process_that_outlived_its_host_is_ended_at_the_next_start(
    start_host: Start,
) -> None:
    first = start_host()
    created = first.call("create_session", "one", command=STUBBORN)
    first.kill()
    assert lives(created["ptyPid"])
    assert start_host().restored[0]["status"] == "idle"
    assert not lives(created["ptyPid"])


@on_both_backends
@pytest.mark.requirement("R2.10")
def test_a_restored_session_is_resumed_in_its_worktree_with_its_command(
    start_host: Start, workspace: Path
) -> None:
    first = start_host()
    command = ["sh", "-c", "echo line >> log; while :; do sleep 0.1; done"]
    created = first.call("create_session", "one", command=command)
    log = Path(created["worktreePath"], "log")
    first.kill()
    second = start_host()
    resumed = second.call("resume_session", created["id"])
    assert resumed["command"] == command
    assert resumed["status"] == "active"
    second.call("stop_session", created["id"])
    assert 1 <= log.read_text().count("line") <= 2


@pytest.mark.requirement("R2.7")
def test_destroying_ends_the_process_and_keeps_branch_and_worktree(
    start_host: Start, git: Git, workspace: Path
) -> None:
    host = start_host()
    created = host.call("create_session", "one", command=WORK)
    Path(created["worktreePath"], "notes").write_text("kept")
    host.call("destroy_session", created["id"])
    assert host.call("get_session", created["id"]) is None
    assert not lives(created["ptyPid"])
    assert Path(created["worktreePath"], "notes").read_text() == "kept"
    assert git(workspace, "branch", "--list", created["branch"])


@on_both_backends
@pytest.mark.requirement("R2.8")
def test_cleanup_is_refused_while_work_is_at_stake_and_then_removes_the_worktree(
    start_host: Start, git: Git, workspace: Path, refused: Any
) -> None:
    host = start_host()
    created = host.call("create_session", "one", command=WORK)
    notes = Path(created["worktreePath"], "notes")
    notes.write_text("at stake")
    with refused as error:
        host.call("destroy_session", created["id"], cleanup=True)
    assert code_of(error) == "WORK_AT_STAKE"
    assert "notes" in str(error.value)
    assert notes.read_text() == "at stake"
    notes.unlink()
    host.call("destroy_session", created["id"], cleanup=True)
    assert not notes.parent.exists()
    assert created["worktreePath"] not in git(workspace, "worktree", "list")
    assert git(workspace, "branch", "--list", created["branch"])


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    return b""


def zeroed(content: bytes) -> bytes:
    return bytes(len(content))


def garbled(content: bytes) -> bytes:
    return content[::-1]


def with_a_flipped_bit(content: bytes) -> bytes:
    where = content.index(b'"name": "one"') + len(b'"name": "')
    return content[:where] + bytes([content[where] ^ 1]) + content[where + 1 :]


def without_its_sessions(content: bytes) -> bytes:
    return json.dumps({**json.loads(content), "sessions": "none"}).encode()


DAMAGES = [truncated, emptied, zeroed, garbled, without_its_sessions]


@pytest.mark.requirement("R5.1")
@pytest.mark.requirement("R5.3")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_state_file_is_rebuilt_without_loss_and_kept_aside(
    start_host: Start, workspace: Path, damage: Callable[[bytes], bytes]
) -> None:
    first = start_host()
    created = first.call("create_session", "one", command=WORK, metadata=METADATA)
    first.call("create_session", "two", start=False, current_phase="p")
    first.call("stop_session", created["id"])
    before = first.call("get_all_sessions")
    first.leave()
    state = workspace / STATE
    damaged = damage(state.read_bytes())
    state.write_bytes(damaged)
    assert start_host().restored == before
    kept = [path.read_bytes() for path in workspace.iterdir() if path.is_file() and path != state]
    assert damaged in kept


@pytest.mark.requirement("R3.3")
def test_a_flipped_bit_does_not_change_the_identity_of_a_session(
    start_host: Start, workspace: Path
) -> None:
    first = start_host()
    first.call("create_session", "one", start=False, metadata=METADATA)
    before = first.call("get_all_sessions")
    first.leave()
    state = workspace / STATE
    state.write_bytes(with_a_flipped_bit(state.read_bytes()))
    assert start_host().restored == before


@on_both_backends
@pytest.mark.requirement("R5.3")
def test_a_missing_state_file_is_rebuilt_without_loss(start_host: Start, workspace: Path) -> None:
    first = start_host()
    first.call("create_session", "one", start=False, metadata=METADATA, command=WORK)
    before = first.call("get_all_sessions")
    first.leave()
    (workspace / STATE).unlink()
    assert start_host().restored == before


@pytest.mark.requirement("R5.5")
def test_a_session_destroyed_without_cleanup_is_not_rebuilt(
    start_host: Start, workspace: Path
) -> None:
    first = start_host()
    kept = first.call("create_session", "kept", start=False)
    gone = first.call("create_session", "gone", start=False)
    first.call("destroy_session", gone["id"])
    first.leave()
    (workspace / STATE).unlink()
    assert [session["id"] for session in start_host().restored] == [kept["id"]]
    assert Path(gone["worktreePath"]).is_dir()


def test_git_clean_loses_no_session(start_host: Start, git: Git, workspace: Path) -> None:
    first = start_host()
    first.call("create_session", "one", start=False, metadata=METADATA)
    first.call("create_session", "two", start=False)
    before = first.call("get_all_sessions")
    first.leave()
    git(workspace, "clean", "-fdx", "--quiet")
    assert not (workspace / STATE).exists()
    second = start_host()
    assert second.restored == before
    second.call("update_session", before[0]["id"], current_phase="goes on")


def test_git_clean_under_a_running_host_loses_no_session(
    start_host: Start, git: Git, workspace: Path
) -> None:
    first = start_host()
    created = first.call("create_session", "one", command=WORK)
    git(workspace, "clean", "-fdx", "--quiet")
    second = start_host()
    assert [session["id"] for session in second.restored] == [created["id"]]
    assert second.call("holder", created["id"]) == "held"
    changed = first.call("update_session", created["id"], current_phase="goes on")
    assert start_host().restored == [changed]


@pytest.mark.requirement("R4.4")
def test_a_moved_workspace_is_repaired_with_all_sessions(
    start_host: Start, git: Git, workspace: Path
) -> None:
    first = start_host()
    one = first.call("create_session", "one", start=False, metadata=METADATA)
    two = first.call("create_session", "two", start=False)
    Path(one["worktreePath"], "notes").write_text("not committed")
    first.leave()
    moved = workspace.rename(workspace.with_name("moved"))
    git(moved, "worktree", "prune")
    second = start_host(moved)
    assert [session["id"] for session in second.restored] == [one["id"], two["id"]]
    second.call("repair")
    assert second.call("diagnose") == []
    expected = {
        session["id"]: session | {"worktreePath": str(moved / ".worktrees" / session["id"])}
        for session in (one, two)
    }
    assert by_id(second.call("get_all_sessions")) == expected
    worktree = Path(expected[one["id"]]["worktreePath"])
    assert git(worktree, "status", "--porcelain") == "?? notes\n"
    assert git(worktree, "branch", "--show-current").strip() == one["branch"]
    assert second.call("resume_session", two["id"], command=WORK)["status"] == "active"


@pytest.fixture
def in_another_pid_namespace() -> tuple[str, ...]:
    """The command that runs a host in a pid namespace of its own."""
    command = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
    if not shutil.which(command[0]):
        pytest.skip("there is no unshare here")
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"namespaces are not permitted here: {tried.stderr.decode().strip()}")
    return command


@on_both_backends
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pid namespaces")
@pytest.mark.requirement("R4.2")
def test_a_session_of_a_host_in_another_pid_namespace_is_held_until_that_host_is_killed(
    start_host: Start, in_another_pid_namespace: tuple[str, ...]
) -> None:
    inside = start_host(prefix=in_another_pid_namespace)
    created = inside.call("create_session", "one", command=WORK)
    outside = start_host()
    assert outside.restored[0]["ptyPid"] == created["ptyPid"]
    assert outside.call("holder", created["id"]) == "held"
    children = Path(f"/proc/{inside.process.pid}/task/{inside.process.pid}/children")
    os.kill(int(children.read_text()), signal.SIGKILL)
    inside.process.wait()
    assert outside.call("holder", created["id"]) == "free"
    assert outside.call("resume_session", created["id"])["status"] == "active"
