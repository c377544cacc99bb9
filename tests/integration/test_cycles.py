"""Four processes create and destroy sessions on keepers concurrently and leave nothing behind.

``FRITH_CYCLES=1000 pytest tests/integration/test_cycles.py`` is the long version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CYCLES = int(os.environ.get("FRITH_CYCLES", "24"))
PROCESSES = 4
SCRIPT = Path(__file__).with_name("cycling.py")


@pytest.mark.nightly
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.timeout(300 + 5 * CYCLES)
@pytest.mark.requirement("R7.2")
@pytest.mark.requirement("R7.3")
def test_repeated_sessions_of_four_processes_lose_no_output_and_leave_nothing(
    workspace: Path, git: Callable[..., str], left: Callable[[], set[int]], backend: str
) -> None:
    command = [sys.executable, str(SCRIPT), str(workspace), backend]
    processes = [
        subprocess.Popen(
            [*command, f"p{number}", str(CYCLES // PROCESSES)], stdout=subprocess.PIPE, text=True
        )
        for number in range(PROCESSES)
    ]
    said = [process.communicate()[0] for process in processes]
    assert [json.loads(words) for words in said] == [{"lost": [], "more": {}}] * PROCESSES
    assert left() == set()
    ours = workspace / ".git" / "frith"
    assert list((ours / "keepers").iterdir()) == []
    stored = json.loads((workspace / ".claude-container-sessions.json").read_text())
    assert stored["sessions"] == []
    assert git(workspace, "worktree", "list", "--porcelain").count("worktree ") == 1
