"""A stranger's distribution, tested in a tox of its own.

Nightly, because it installs two environments; ``tests/integration/test_thirdparty.py`` runs the
same suites each time, without tox.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_third_party_tests_its_store_with_its_own_tox(tmp_path: Path) -> None:
    [wheel] = Path(os.environ["FRITH_DIST"]).glob("*.whl")
    checkout = shutil.copytree(ROOT / "tests/thirdparty/sqlite", tmp_path / "sqlite")
    outer = ("TOX", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST")
    env = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    done = subprocess.run(
        [sys.executable, "-m", "tox", "-e", "py", "--workdir", str(tmp_path / "tox")],
        cwd=checkout,
        env={**env, "FRITH": str(wheel)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    [report] = (tmp_path / "tox").rglob("report.json")
    [subject] = json.loads(report.read_text("utf-8"))
    assert subject["provider"] == "store:sqlite"
    assert subject["distribution"] == "frith-sqlite 1.0"
    outcomes = {promise["outcome"] for promise in subject["promises"]}
    assert "kept" in outcomes
    assert outcomes <= {"kept", "does not apply", "not checked"}
