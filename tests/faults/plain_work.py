"""A scenario that works on plain files, to test the laboratory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from frith_testing.faults.fork_server import Channel
from frith_testing.faults.scenario import Acknowledge, Scenario, ViolationError
from frith_testing.harness.opening import Opening


class Writing(Scenario):
    """Works on files directly."""

    async def prepare(self, opening: Opening) -> None:
        (opening.workspace / "before").write_bytes(b"before")

    async def work(self, opening: Opening, acknowledge: Acknowledge) -> None:
        workspace = opening.workspace
        Path(os.devnull).read_bytes()
        fd = os.open(workspace / "file", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.write(fd, b"0123456789")
        os.pwrite(fd, b"ab", 4)
        acknowledge("written")
        os.rename(workspace / "file", workspace / "renamed")
        os.ftruncate(fd, 5)
        os.fsync(fd)
        os.close(fd)
        os.unlink("before", dir_fd=os.open(workspace, os.O_RDONLY))

    async def check(self, opening: Opening, acknowledged: Sequence[str]) -> None:
        if "before" in os.listdir(opening.workspace):
            raise ViolationError("it is still there")


class Unprepared(Writing):
    async def prepare(self, opening: Opening) -> None:
        raise ViolationError("impossible")


def leaves_a_process(channel: Channel) -> None:
    channel.report(str(subprocess.Popen(["sleep", "3600"]).pid))
