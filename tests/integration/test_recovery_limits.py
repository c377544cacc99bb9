"""Recovering under a resource limit raises and replaces nothing; the next start succeeds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from waiting import TO_RUN

SCRIPT = Path(__file__).with_name("limited.py")
NAME = ".claude-container-sessions.json"
REFUSED = {"STORE_FAILED", "GIT_FILE", "COMMIT_OUTCOME_UNKNOWN"}

pytestmark = [
    pytest.mark.expensive("starts hosts, each a process of its own"),
    pytest.mark.requirement("R5.1"),
    pytest.mark.requirement("R5.2"),
    pytest.mark.parametrize("found", ["corrupt", "missing"]),
]


@pytest.fixture
def broken(found: str, start_host: Callable[..., Any], workspace: Path) -> Path:
    """A workspace with two sessions, whose state file is missing or damaged."""
    host = start_host()
    for name in ("one", "two"):
        host.call("create_session", name, start=False)
    assert host.leave() == 0
    state = workspace / NAME
    content = state.read_bytes()
    state.unlink()
    if found == "corrupt":
        state.write_bytes(content[: len(content) // 2])
        state.chmod(0o600)
    return workspace


def run(*command: object) -> list[str]:
    words = [*map(str, command)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=TO_RUN, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def content(workspace: Path) -> dict[Path, bytes]:
    """Return the state file and the files beside it."""
    return {path.relative_to(workspace): path.read_bytes() for path in workspace.glob(f"{NAME}*")}


def recovered(workspace: Path, before: dict[Path, bytes]) -> bool:
    """Return whether the state file is valid again and the corrupt one kept."""
    after = content(workspace)
    kept = [data for path, data in after.items() if ".corrupt-" in path.name]
    return Path(NAME) in after and kept == [
        data for path, data in before.items() if path == Path(NAME)
    ]


def test_recovery_without_descriptors_fails_and_succeeds_at_the_next_start(broken: Path) -> None:
    before = content(broken)
    *refused, last = run(sys.executable, SCRIPT, "files", broken)
    assert last == "one two"
    assert refused
    assert {*refused} <= REFUSED | {"PLUGIN_FAILED"}
    assert recovered(broken, before)


def test_recovery_under_a_file_size_limit_fails_and_succeeds_at_the_next_start(
    broken: Path,
) -> None:
    before = content(broken)
    refused, last = run(sys.executable, SCRIPT, "size", broken)
    assert refused in REFUSED
    assert last == "one two"
    assert recovered(broken, before)


def test_recovery_on_a_full_disk_fails_and_succeeds_at_the_next_start(broken: Path) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"], check=False).returncode:
        pytest.skip("namespaces are not permitted here")
    before = content(broken)
    refused, last = run(*namespace, sys.executable, SCRIPT, "full", broken)
    assert refused in REFUSED
    assert last == "one two"
    assert recovered(broken.with_name("copy"), before)


def test_recovery_without_permission_fails_and_succeeds_at_the_next_start(
    broken: Path, found: str
) -> None:
    before = content(broken)
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if os.geteuid() != 0:
        powerless.clear()
    elif not shutil.which(powerless[0]):
        pytest.skip("there is no setpriv here, and root may read everything")
    unreadable = NAME if found == "corrupt" else ".git/worktrees/*/frith.json"
    for path in broken.glob(unreadable):
        path.chmod(0)
    refused, last = run(*powerless, sys.executable, SCRIPT, "access", broken)
    assert refused == ("STORE_FAILED" if found == "corrupt" else "GIT_FILE")
    assert last == "one two"
    assert recovered(broken, before)
