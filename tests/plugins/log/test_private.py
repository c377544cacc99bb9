"""The log contains names and branches, so a new log file is only for its owner."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from frith_log.configure import LogOptions, _handler


@pytest.mark.parametrize(("there", "mode"), [(None, 0o600), (0o640, 0o640)])
def test_a_new_log_file_is_private_and_an_existing_one_keeps_its_mode(
    tmp_path: Path, there: int | None, mode: int
) -> None:
    file = tmp_path / "log"
    if there:
        file.touch()
        file.chmod(there)
    before = os.umask(0o022)
    try:
        _handler(LogOptions(file=file), tmp_path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == mode
