"""Keepers in a container: process 1 is a host, another program, or an init."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from waiting import TO_RUN

pytestmark = pytest.mark.expensive("starts hosts, each a process of its own")

UNSHARE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")

HOST = """
import json, os, sys
from pathlib import Path
import anyio
from frith import ManagerConfig, SessionManager

async def main():
    config = ManagerConfig(workspace=Path(sys.argv[1]), terminal="keeper", terminate_grace=0.1)
    async with SessionManager(config) as manager:
        ended = await manager.create_session(command=("true",))
        await manager.wait_ended(ended.id)
        left = await manager.create_session(command=("sleep", "100"))
        living = manager.get_session(left.id).status
    async with SessionManager(config) as manager:
        adopted = manager.get_session(left.id).pty_pid == left.pty_pid
        await manager.stop_session(left.id)
    states = [
        Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
        for pid in os.listdir("/proc") if pid.isdigit()
    ]
    print(json.dumps({"pid": os.getpid(), "living": living, "adopted": adopted, "states": states}))

anyio.run(main)
"""


@pytest.fixture(autouse=True)
def namespaces() -> None:
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a pid namespace")


def in_container(*command: str) -> str:
    done = subprocess.run(
        [*UNSHARE, *command], capture_output=True, text=True, timeout=TO_RUN, check=True
    )
    return done.stdout


def test_a_host_that_is_process_1_reaps_the_keepers_that_have_ended(workspace: Path) -> None:
    found = json.loads(in_container(sys.executable, "-c", HOST, str(workspace)))
    assert found["pid"] == 1
    assert found["adopted"]
    assert "Z" not in found["states"]


def test_a_host_beside_another_process_1_adopts_sessions(workspace: Path) -> None:
    script = '"$0" -c "$1" "$2"; :'
    found = json.loads(in_container("sh", "-c", script, sys.executable, HOST, str(workspace)))
    assert found["pid"] != 1
    assert found["adopted"]


@pytest.mark.parametrize("abruptly", [False, True])
def test_sessions_of_a_stopped_container_are_idle_and_can_be_resumed(
    workspace: Path, abruptly: bool
) -> None:
    leaves = HOST.replace("async with SessionManager(config) as manager:\n        adopted", "STOP")
    leaves = leaves[: leaves.index("    STOP")]
    end = "    os._exit(9)" if abruptly else "    print(living)"
    in_namespace = [*UNSHARE, sys.executable, "-c", f"{leaves}{end}\n\nanyio.run(main)"]
    subprocess.run(
        [*in_namespace, str(workspace)], timeout=TO_RUN, capture_output=True, check=False
    )
    again = """
import sys
from pathlib import Path
import anyio
from frith import ManagerConfig, SessionManager

async def main():
    config = ManagerConfig(workspace=Path(sys.argv[1]), terminal="keeper", terminate_grace=0.1)
    async with SessionManager(config) as manager:
        (session,) = [s for s in manager.get_all_sessions() if s.details.command[0] == "sleep"]
        print(session.status, session.pty_pid)
        resumed = await manager.resume_session(session.id)
        print(resumed.status, resumed.details.command)
        await manager.stop_session(session.id)

anyio.run(main)
"""
    said = in_container(sys.executable, "-c", again, str(workspace)).splitlines()
    assert said == ["idle None", "active ('sleep', '100')"]
