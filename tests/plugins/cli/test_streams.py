"""Standard streams that are closed or take nothing more."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.expensive("starts the command as a process")

Shell = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Run the command in the repository as a shell does, with its redirections."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    command = shlex.join([sys.executable, "-m", "frith_cli"])

    def run(arguments: str) -> subprocess.CompletedProcess[str]:
        line = f"{command} {arguments}"
        return subprocess.run(["sh", "-c", line], cwd=repository, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_not_an_error(shell: Shell, closed: str) -> None:
    assert shell(f"new one --no-attach {closed}").returncode == 0
    ran = shell(f"show one {closed}")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_with_standard_error_closed_errors_are_not_in_the_output(shell: Shell) -> None:
    ran = shell("show one 2>&-")
    assert (ran.returncode, ran.stdout) == (1, "")


def test_a_child_process_has_three_open_streams() -> None:
    look = "import os; [os.fstat(number) for number in range(3)]"
    code = (
        "import subprocess, sys; from frith_cli.streams import open_closed; open_closed()\n"
        f"sys.exit(subprocess.run([sys.executable, '-c', {look!r}]).returncode)"
    )
    line = f"{shlex.join([sys.executable, '-c', code])} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line]).returncode == 0


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")


@needs_full
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["plugins", "--help", "completion bash"])
def test_output_that_cannot_be_written_is_an_error(
    shell: Shell, arguments: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    ran = shell(f"{arguments} >/dev/full")
    message = "frith: Cannot write the output: No space left on device. [OUTPUT_FAILED]\n"
    assert (ran.returncode, ran.stderr) == (1, message)


@needs_full
def test_a_message_that_cannot_be_written_is_not_an_error(shell: Shell) -> None:
    ran = shell("new one --no-attach 2>/dev/full")
    assert ran.returncode == 0
    assert ran.stdout.strip() in shell("ls --json").stdout


@needs_full
def test_an_error_that_cannot_be_written_shows_in_the_exit_code(shell: Shell) -> None:
    assert shell("show one 2>/dev/full").returncode == 1
