"""Queries of a process to its terminal, at the limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from frith.ports import Chunk, Size
from frith_terminals import answering

FLOOD = "stty raw -echo; printf ready; read -r _; yes \"$(printf '\\033[6n')\" | head -n %d"
MANY = 300_000
ASK = (
    "stty raw -echo; printf ready; dd bs=1 count=1 of=/dev/null 2>/dev/null; printf '\\033[6n';"
    "dd bs=1 count=1 of=kept 2>/dev/null; stty min 0 time 5; cat >>kept; printf complete"
)


async def test_a_flood_of_queries_that_are_not_read_blocks_nobody(
    shell: Any, transcript: Any
) -> None:
    terminal = await shell(FLOOD % MANY + "; printf end")
    async with terminal.attach() as view:
        await transcript(view).until(b"ready")
        await terminal.write(b"\n")
        seen = b""
        async for part in view:
            seen = part.data if isinstance(part, Chunk) else b""
            assert b"\x1b[6n" not in seen
        assert seen.endswith(b"end")


async def test_a_query_of_a_viewer_that_leaves_is_answered(
    shell: Any, transcript: Any, tmp_path: Path
) -> None:
    terminal = await shell(ASK)
    async with terminal.attach() as view:
        seen = transcript(view)
        await seen.until(b"ready")
        await terminal.resize("owner", Size())
        async with terminal.attach(viewer="owner"):
            await terminal.write(b"x")
            with anyio.fail_after(30):
                while not terminal._viewers.called("owner").asked:
                    await anyio.lowlevel.checkpoint()
        await seen.until(b"complete")
    assert (tmp_path / "kept").read_bytes() == b"\x1b[1;6R"


async def test_a_query_is_answered_under_another_window_size(
    shell: Any, transcript: Any, tmp_path: Path
) -> None:
    terminal = await shell(ASK.replace("\\033[6n", "\\033[99;99H\\033[6n"))
    async with terminal.attach() as view:
        seen = transcript(view)
        await seen.until(b"ready")
        await terminal.resize("owner", Size(12, 34))
        await terminal.write(b"x")
        await seen.until(b"complete")
    assert (tmp_path / "kept").read_bytes() == b"\x1b[12;34R"


async def test_an_answer_that_would_be_late_is_not_written(
    shell: Any, transcript: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "_LATEST", -1)
    terminal = await shell(
        "stty raw -echo min 0 time 5; printf '\\033[5n\\033[6n'; cat >kept; printf complete"
    )
    async with terminal.attach() as view:
        await transcript(view).until(b"complete")
    assert (tmp_path / "kept").read_bytes() == b""
