"""The log tells names and branches: it is for its owner, who may let others read it."""

from __future__ import annotations

import os
import stat

import pytest

from frith_log._setup import LogOptions, _handler


@pytest.mark.parametrize(("there", "mode"), [(None, 0o600), (0o640, 0o640)])
def test_a_log_file_that_is_made_is_private_and_one_that_is_there_keeps_its_mode(
    tmp_path, there, mode
):
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
