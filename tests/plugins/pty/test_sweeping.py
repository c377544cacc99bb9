"""Sweeping finds the processes of a dead host by their environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from frith.errors import TerminalError
from frith.model import Session, SessionStatus
from frith.ports import TerminalSpawner
from frith_os.processes import environ_of, here, matching, start_time, stat_of
from frith_terminals import sweeping as _sweep
from frith_testing.faults.machine.rlimits import descriptors_left
from waiting import PATIENCE, wait_until


@pytest.fixture
def session(session_id: str, tmp_path: Path) -> Session:
    moment = datetime.now(UTC)
    return Session(
        id=session_id,
        name="one",
        status=SessionStatus.IDLE,
        branch="feature/one",
        worktree_path=str(tmp_path),
        created_at=moment,
        last_activity=moment,
    )


@pytest.fixture
def left_behind(session: Session, tmp_path: Path) -> Iterator[Any]:
    """Starts a process as a host that is dead now would have."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *command: str, session_id: str = session.id, workspace: str = str(tmp_path)
    ) -> subprocess.Popen[bytes]:
        identity = {"FRITH_SESSION_ID": session_id, "FRITH_WORKSPACE": workspace}
        started.append(
            subprocess.Popen(
                command,
                env=os.environ | identity,
                start_new_session=True,
                stdout=subprocess.PIPE,
            )
        )
        pid = started[-1].pid
        # An exec does not show all of the new program at once.
        wait_until(lambda: environ_of(pid) not in (None, frozenset({b""})) or has_ended(pid))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        assert process.stdout is not None
        process.stdout.close()
        process.wait()


def has_ended(pid: int) -> bool:
    """Tell whether the process has ended, without forgetting it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def referring(session: Session, pid: int, **changes: Any) -> Session:
    ref = {"pid": pid, "startTime": start_time(pid), **here()}
    return session.detail(terminal_ref=ref | changes)


@pytest.mark.requirement("R4.3")
async def test_sweeping_kills_a_process_that_ignores_sigterm(
    opened: Any, left_behind: Any, session: Session
) -> None:
    stubborn = left_behind("sh", "-c", "trap '' TERM HUP; echo ready; read x; while :; do :; done")
    assert stubborn.stdout.readline() == b"ready\n"
    async with opened() as spawner:
        report = await spawner.sweep(session, 0.1)
    assert stubborn.pid in report.ended
    assert stubborn.wait() == -9


@pytest.mark.requirement("R4.3")
async def test_a_process_that_no_longer_shows_its_identity_is_reported(
    opened: Any, left_behind: Any, session: Session
) -> None:
    nameless = left_behind("env", "-i", "A=B", "sleep", "100")
    wait_until(lambda: Path(f"/proc/{nameless.pid}/cmdline").read_bytes().startswith(b"sleep"))
    async with opened() as spawner:
        report = await spawner.sweep(referring(session, nameless.pid), 0)
    assert report.found == ()
    assert [text for text in report.unknown if str(nameless.pid) in text]
    assert nameless.poll() is None


NAMELESS = "env -i A=B sleep 100 & echo $!; "


@pytest.mark.requirement("R4.3")
async def test_sweeping_ends_a_process_without_environment_whose_leader_carries_the_session(
    opened: Any, left_behind: Any, session: Session
) -> None:
    leader = left_behind("sh", "-c", NAMELESS + "wait")
    nameless = int(leader.stdout.readline())
    async with opened() as spawner:
        report = await spawner.sweep(session, PATIENCE)
    assert report.found == report.ended == tuple(sorted((leader.pid, nameless)))


@pytest.mark.requirement("R4.3")
async def test_sweeping_ends_a_process_without_environment_whose_ended_leader_is_recorded(
    opened: Any, left_behind: Any, session: Session
) -> None:
    leader = left_behind("sh", "-c", f"{NAMELESS} sleep 100 & echo $!")
    jobs = int(leader.stdout.readline()), int(leader.stdout.readline())
    wait_until(lambda: has_ended(leader.pid))
    session = referring(session, leader.pid)
    async with opened() as spawner:
        report = await spawner.sweep(session, PATIENCE)
    assert report.found == report.ended == tuple(sorted(jobs))


@pytest.mark.requirement("R4.3")
async def test_sweeping_spares_a_process_that_only_shares_a_kernel_session(
    opened: Any, left_behind: Any, session: Session
) -> None:
    # One with another leader, which may have joined: the leader is not known to be the session's.
    stranger = left_behind(
        *("sh", "-c", f"FRITH_SESSION_ID={session.id} sleep 100 & echo $!; wait"),
        session_id=str(uuid4()),
    )
    carrier = int(stranger.stdout.readline())
    wait_until(lambda: f"FRITH_SESSION_ID={session.id}".encode() in (environ_of(carrier) or ()))
    async with opened() as spawner:
        report = await spawner.sweep(session, 0)
    assert report.found == (carrier,)
    assert stranger.poll() is None or stranger.returncode == 0


@pytest.mark.requirement("R4.3")
async def test_a_host_that_runs_in_the_session_does_not_end_itself(
    opened: Any, left_behind: Any, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ancestor = left_behind("sleep", "100")
    monkeypatch.setattr(_sweep, "ancestors", lambda: frozenset({ancestor.pid}))
    async with opened() as spawner:
        report = await spawner.sweep(session, 0)
    assert report.found == ()
    assert [text for text in report.unknown if str(ancestor.pid) in text and "host" in text]
    assert ancestor.poll() is None


async def test_sweeping_spares_terminals_of_the_same_host(
    shell: Any, spawner: TerminalSpawner, session: Session, output_of: Any
) -> None:
    terminal = await shell("read line; echo alive")
    assert (await spawner.sweep(session, 0)).found == ()
    await terminal.write(b"\n")
    assert b"alive" in await output_of(terminal)


@pytest.mark.requirement("R4.3")
async def test_without_descriptors_no_process_passes_for_gone(
    opened: Any, left_behind: Any, session: Session
) -> None:
    process = left_behind("sleep", "100")
    # None, or one that the thread's listing of /proc, or the handle of the process, takes.
    async with opened() as spawner:
        for left in range(2):
            with descriptors_left(left), pytest.raises(TerminalError, match="Too many open files"):
                await spawner.sweep(session, 5)
        assert not has_ended(process.pid)
        report = await spawner.sweep(session, 5)
    assert process.pid in report.ended


def test_without_descriptors_reading_a_process_raises(left_behind: Any) -> None:
    process = left_behind("sleep", "100")
    with descriptors_left(0):
        for look in (stat_of, environ_of):
            with pytest.raises(OSError, match="Too many open files"):
                look(process.pid)
        with pytest.raises(OSError, match="Too many open files"):
            matching(lambda _: True, [process.pid])
    before = len(os.listdir("/dev/fd"))
    with descriptors_left(2), pytest.raises(OSError, match="Too many open files"):
        matching(lambda _: True, [process.pid] * 3)
    assert len(os.listdir("/dev/fd")) == before
