"""The laboratory traces and fails the right calls, and leaves nothing behind."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import pytest

from frith_testing.faults.fork_server import fork_server
from frith_testing.faults.laboratory import laboratory
from frith_testing.faults.scenario import ViolationError
from frith_testing.faults.shim import Fault
from frith_testing.faults.tree import captured, restore
from frith_testing.harness.opening import Opening

import small_stores as small  # isort: skip - found by the path that conftest sets
from plain_work import Unprepared, Writing, leaves_a_process  # isort: skip

pytestmark = pytest.mark.usefixtures("interception")


@pytest.fixture
def opening(workspace: Path) -> Opening:
    return small.opening(small.SmallStore, workspace)


def test_only_what_is_done_beneath_the_workspace_is_traced(opening: Opening) -> None:
    with laboratory(Writing(), opening) as lab:
        calls, outcome = lab.record()
    assert outcome.failure is None
    assert [call.op for call in calls] == [
        *("open", "write", "write", "mark", "rename", "truncate", "sync", "close"),
        *("open", "unlink"),
    ]
    assert all(call.path.startswith(str(opening.workspace)) for call in calls if call.op != "mark")


def test_a_write_is_traced_with_its_place_and_its_data(opening: Opening) -> None:
    with laboratory(Writing(), opening) as lab:
        calls, _ = lab.record()
    writes = [call for call in calls if call.op == "write"]
    assert [(call.offset, call.data) for call in writes] == [(0, b"0123456789"), (4, b"ab")]
    assert writes[0].inode == writes[1].inode != 0
    assert next(call for call in calls if call.op == "open").created


@pytest.mark.parametrize(
    ("fault", "there"),
    [(Fault.KILL_BEFORE, "file"), (Fault.KILL_AFTER, "renamed")],
)
def test_a_kill_ends_the_work_at_its_call(opening: Opening, fault: Fault, there: str) -> None:
    with laboratory(Writing(), opening) as lab:
        outcome = lab.work(3, fault)
        assert outcome.signal == signal.SIGKILL
        assert outcome.hit == f"rename {opening.workspace}/file"
        assert outcome.reported == ["written"]
        assert (opening.workspace / there).read_bytes() == b"0123ab6789"


def test_a_call_that_fails_is_not_done(opening: Opening) -> None:
    with laboratory(Writing(), opening) as lab:
        outcome = lab.work(3, Fault.ENOSPC)
        assert "No space left on device" in (outcome.failure or "")
        assert (opening.workspace / "file").exists()


def test_a_short_write_does_half(opening: Opening) -> None:
    with laboratory(Writing(), opening) as lab:
        lab.work(1, Fault.SHORT)
        assert (opening.workspace / "renamed").read_bytes() == b"0123a"


def test_a_fault_beyond_the_last_call_hits_nothing(opening: Opening) -> None:
    with laboratory(Writing(), opening) as lab:
        assert lab.work(1000, Fault.EIO).hit is None


def test_between_two_runs_the_workspace_is_as_it_was_prepared(opening: Opening) -> None:
    with laboratory(Writing(), opening) as lab:
        lab.record()
        assert lab.check(()).failure is None
        lab.reset()
        assert lab.check(()).failure == "it is still there"


def test_afterwards_the_workspace_and_the_descriptors_are_as_before(opening: Opening) -> None:
    (opening.workspace / "mine").symlink_to("nowhere")
    before = captured(opening.workspace)
    with laboratory(Writing(), opening):
        pass  # compiles once, and keeps that
    descriptors = os.listdir("/proc/self/fd")
    with laboratory(Writing(), opening) as lab:
        lab.record()
    assert captured(opening.workspace) == before
    assert os.listdir("/proc/self/fd") == descriptors


def test_a_preparation_that_fails_is_an_error(opening: Opening) -> None:
    with pytest.raises(ViolationError, match="cannot be prepared: impossible"):  # noqa: SIM117
        with laboratory(Unprepared(), opening):
            pass


def test_processes_of_a_run_end_with_it() -> None:
    with fork_server() as server:
        outcome = server.run(leaves_a_process, timeout=30.0)
    try:
        process = os.pidfd_open(int(outcome.reported[0]))
    except ProcessLookupError:
        return
    ended, _, _ = select.select([process], [], [], 30.0)
    os.close(process)
    assert ended


def test_a_tree_is_restored_whatever_took_its_place(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory/file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("directory")
    before = captured(tmp_path)
    (tmp_path / "directory/file").unlink()
    (tmp_path / "directory").rmdir()
    (tmp_path / "directory").write_bytes(b"")
    (tmp_path / "link").unlink()
    (tmp_path / "link").mkdir()
    (tmp_path / "more").mkdir()
    restore(tmp_path, before)
    assert captured(tmp_path) == before
