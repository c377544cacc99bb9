"""The demo: what it shows, that it notices, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from frith import ManagerConfig
from frith_cli.demo import host, steps
from frith_cli.demo.checks import Checks
from frith_cli.demo.repository import runs

from .conftest import Frith

pytestmark = pytest.mark.expensive("starts the command as a process")

DEMO = (sys.executable, "-m", "frith_cli", "demo")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def wait_for_processes_below(folder: Path) -> None:
    """Wait until every process has ended whose environment names a workspace in ``folder``."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if f"FRITH_WORKSPACE={folder}/".encode() in (process / "environ").read_bytes():
                fd = os.pidfd_open(int(process.name))
                select.select([fd], [], [])
                os.close(fd)


@pytest.mark.requirement("R4.1")
@pytest.mark.requirement("R4.3")
@pytest.mark.requirement("R5.1")
def test_every_check_of_the_demo_holds_and_nothing_remains(frith: Frith, temporary: Path) -> None:
    outcome = frith("demo")
    assert outcome.code == 0
    assert re.search(r"\nAll \d\d checks held, in [\d.]+ seconds\.\n$", outcome.out)
    assert list(temporary.iterdir()) == []


def test_the_demo_prints_the_path_of_what_it_keeps(frith: Frith, temporary: Path) -> None:
    outcome = frith("demo", "--keep")
    (kept,) = temporary.iterdir()
    assert f"Kept: {kept}\n" in outcome.out
    assert (kept / "workspace" / ".git").is_dir()


def test_the_demo_ignores_the_environment_and_git_settings_of_the_user(
    temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "gitconfig").write_text(
        "[core]\n\thooksPath = /nowhere\n[commit]\n\tgpgSign = true\n"
    )
    hostile = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(temporary),
        "HOME": str(tmp_path / "no-home"),
        "LC_ALL": "C",
        "GIT_DIR": str(tmp_path / "nowhere"),
        "GIT_INDEX_FILE": str(tmp_path / "index"),
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "init.defaultObjectFormat",
        "GIT_CONFIG_VALUE_0": "none",
        "FRITH_WORKSPACE": str(tmp_path),
        "FRITH_SESSION_ID": "8a5dfbb3-7c5d-4a25-b025-2ed064ab2481",
    }
    ran = subprocess.run(
        DEMO, env=hostile, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stdout.decode()
    assert list(temporary.iterdir()) == []


def test_the_demo_restores_the_environment(frith: Frith, temporary: Path) -> None:
    before = dict(os.environ)
    frith("demo")
    assert dict(os.environ) == before


def test_the_demo_reports_a_failed_check(
    frith: Frith, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "ManagerConfig", partial(ManagerConfig, max_sessions=9))
    outcome = frith("demo")
    assert outcome.code == 1
    assert "FAILED A fifth session is refused" in outcome.out
    assert "checks failed: A fifth session is refused" in outcome.out


def test_the_demo_reports_a_host_that_does_not_start(
    frith: Frith, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    outcome = frith("demo")
    assert outcome.code == 1
    assert "FAILED Nothing fails unexpectedly" in outcome.out
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing(temporary: Path, number: signal.Signals) -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as demo:
        assert demo.stdout is not None
        while b"An agent writes" not in demo.stdout.readline():
            pass
        demo.send_signal(number)
        demo.stdout.read()
    assert demo.returncode == 128 + number
    assert list(temporary.iterdir()) == []
    wait_for_processes_below(temporary)


def test_the_host_of_the_demo_ends_with_its_standard_input(repository: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", host.__name__, repository], stdin=pipe, stdout=pipe
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        assert started.stdin is not None
        started.stdin.close()
        assert started.wait() == 0
    wait_for_processes_below(repository.parent)


def test_a_demo_without_checks_fails() -> None:
    assert Checks().sum_up() == 1


def test_a_zombie_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert runs(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not runs(process.pid)
    assert not runs(process.pid)
