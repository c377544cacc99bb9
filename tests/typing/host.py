"""What a host writes, as mypy --strict sees it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from frith.config import ManagerConfig
from frith.errors import ConfigurationError, FrithError, SessionLimitError
from frith.model import ExitStatus
from frith.ports import AttachMode, Chunk, Gap, Size, Terminal


def configure(workspace: Path) -> ManagerConfig:
    try:
        return ManagerConfig.of(workspace=workspace, max_sessions=8)
    except ConfigurationError as error:
        assert_type(error.key, str)
        assert_type(error.suggestion, str | None)
        raise


def explain(error: FrithError) -> str:
    assert_type(error.code, str)
    if isinstance(error, SessionLimitError):
        assert_type(error.limit, int)
    return f"{error.code}: {error}"


async def view(terminal: Terminal) -> ExitStatus:
    await terminal.resize("me", Size(rows=50, columns=132))
    async with terminal.attach(mode=AttachMode.LOSSLESS) as attachment:
        assert_type(attachment.snapshot, bytes)
        async for part in attachment:
            assert_type(part, Chunk | Gap)
    return assert_type(await terminal.exited(), ExitStatus)
