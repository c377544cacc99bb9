"""The table of programs in ``docs/reference/status.md``, for those that are installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anyio import move_on_after

from frith.model import SessionStatus
from frith.ports import Conclusion

from .conftest import Watched, Watching
from .programs import ROWS, Row

QUIET = 2.0
"""Seconds of silence, instead of ten, to save time."""


@pytest.fixture
def anyio_backend() -> str:
    """These tests depend on programs, not on the event loop."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, new_repository: Callable[[Path], Path]) -> Path:
    """A repository that is a home in which agents ask a question without network access."""
    new_repository(tmp_path)
    (tmp_path / ".claude.json").write_text('{"hasCompletedOnboarding": true, "theme": "dark"}')
    return tmp_path


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[str]:
    """A server on this machine; yields its port."""
    server = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if server is None or not Path("/run/sshd").is_dir():
        pytest.skip("sshd is not installed")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    options = ["-f", "/dev/null", "-p", port, "-h", str(key), "-o", "ListenAddress=127.0.0.1"]
    running = subprocess.Popen(
        [server, "-D", "-e", "-o", "PidFile=none", *options], stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    assert "listening" in running.stderr.readline()
    yield port
    running.kill()
    running.communicate()


async def settled(process: Watched, status: str) -> str:
    """Return the status once nothing new is concluded for longer than the threshold."""
    while True:
        with move_on_after(QUIET + 1):
            finding = await process.next()
            assert isinstance(finding, Conclusion)
            status = finding.status.value
            continue
        return status


@pytest.mark.expensive("runs real programs")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_the_status_of_a_program_is_the_documented_one(
    row: Row, watching: Watching, home: Path, request: pytest.FixtureRequest
) -> None:
    if shutil.which(row.program) is None:
        pytest.skip(f"{row.program} is not installed")
    env = row.env | {"HOME": str(home), "ANTHROPIC_API_KEY": "sk-ant-none"}
    if row.program == "ssh":
        env["SSHD_PORT"] = request.getfixturevalue("sshd")
    async with watching(*row.command, env=env, cwd=home, quiet=QUIET) as process:
        status = SessionStatus.ACTIVE.value
        if row.typed:
            await process.until("waiting")
            await process.terminal.write(row.typed)
            status = (await process.until(row.status)).status.value
        elif row.status != status:
            status = (await process.until(row.status)).status.value
        assert await settled(process, status) == row.status
