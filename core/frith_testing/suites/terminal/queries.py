"""Queries of a process to its terminal."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from frith.ports import AttachMode, Chunk, Size, Terminal
from frith.providers import Capability
from frith_testing.harness.base import PATIENCE, Opening
from frith_testing.harness.promises import promise
from frith_testing.harness.samples import a_session
from frith_testing.suites.terminal.adoption import adopted, left_running, outliving, recorded
from frith_testing.suites.terminal.open_spawner import OpenSpawnerConformance
from frith_testing.suites.terminal.output import FLOOD
from frith_testing.suites.terminal.shells import Spawn, output_of, shown

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

QUERY = b"\x1b[5n"
"""Asks for the status of the terminal."""
ASK = "printf '\\033[5n'"
RAW = "stty raw -echo"
KEEP = (
    "dd bs=1 count=1 of=kept 2>/dev/null; stty min 0 time 5; cat >>kept; touch complete; echo done"
)
"""Writes its input to a file, from the first byte to half a second without any."""
WAIT = f"{RAW}; printf ready; dd bs=1 count=1 of=/dev/null 2>/dev/null"
"""Waits for a byte of input."""
LATE = 1.5
"""Seconds after a query in which an answer is not expected any more."""
KINDS = {
    "attributes": (r"\033[c", rb"\x1b\[\?[0-9;]+c"),
    "version": (r"\033[>c", rb"\x1b\[>[0-9;]+c"),
    "name": (r"\033[>q", rb"\x1bP>\|[^\x1b]+\x1b\\"),
    "status": (r"\033[5n", rb"\x1b\[0n"),
    "cursor": (r"one\r\ntwo\033[6n", rb"\x1b\[2;4R"),
    "mode": (r"\033[?2004h\033[?2004$p", rb"\x1b\[\?2004;1\$y"),
    "unknown mode": (r"\033[?7777$p", rb"\x1b\[\?7777;0\$y"),
    "text colour": (r"\033]10;?\007", rb"\x1b\]10;rgb:[0-9a-f/]+\x07"),
    "background": (r"\033]11;?\033\\", rb"\x1b\]11;rgb:[0-9a-f/]+\x1b\\"),
    "keyboard": (r"\033[>1u\033[?u", rb"\x1b\[\?1u"),
    "several": (r"\033[5n\033[c", rb"\x1b\[0n\x1b\[\?[0-9;]+c"),
}
"""Queries as ``printf`` writes them, and the answers."""


class QueriesConformance(OpenSpawnerConformance, suite="terminal"):
    """Promises about queries: each is answered once, whoever watches."""

    @promise(since="1.1", needs=Capability.QUERIES, seconds=0.7)
    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_query_without_viewers_is_answered_once(
        self, spawn: Spawn, workspace: Path, kind: str
    ) -> None:
        query, answer = KINDS[kind]
        await spawn(f"{RAW}; printf '{query}'; {KEEP}")
        assert re.fullmatch(answer, await kept(workspace))

    @promise(since="1.1", needs=Capability.QUERIES, seconds=0.7)
    async def test_a_query_that_is_written_in_parts_is_answered_once(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        terminal = await spawn(
            f"{RAW}; printf 'ready\\033['; dd bs=1 count=1 of=/dev/null 2>/dev/null;"
            f"printf 5n; {KEEP}"
        )
        async with (
            watching(terminal, "owner", b"owner", Size()),
            watching(terminal, "other", b"other"),
        ):
            await shown(terminal, b"ready")
            await terminal.write(b"x")
            assert await kept(workspace) == b"owner"

    @promise(since="1.1", needs=Capability.QUERIES, seconds=0.7)
    async def test_the_viewer_that_set_the_latest_size_is_asked(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        terminal = await spawn(f"{WAIT}; {ASK}; {KEEP}")
        await shown(terminal, b"ready")
        async with (
            watching(terminal, "first", b"first", Size(30, 90)) as first,
            watching(terminal, "latest", b"latest", Size(20, 70)) as latest,
            watching(terminal, None, b"nobody") as nobody,
        ):
            await terminal.write(b"x")
            assert await kept(workspace) == b"latest"
            assert (first, latest, nobody) == ([], ["latest"], [])

    @promise(since="1.1", needs=Capability.QUERIES, seconds=0.7)
    async def test_the_next_viewer_is_asked_after_one_has_left(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        terminal = await spawn(f"{WAIT}; {ASK}; {KEEP}")
        await shown(terminal, b"ready")
        async with (
            watching(terminal, "first", b"first", Size(30, 90)),
            watching(terminal, "latest", b"latest", Size(20, 70)) as latest,
        ):
            await terminal.leave("latest")
            await terminal.write(b"x")
            assert await kept(workspace) == b"first"
            assert latest == []

    @promise(since="1.1", needs=Capability.QUERIES, seconds=0.7)
    async def test_a_query_is_answered_if_its_viewer_does_not_read(
        self, spawn: Spawn, workspace: Path
    ) -> None:
        terminal = await spawn(f"{WAIT}; {ASK}; {FLOOD}; {KEEP}")
        await shown(terminal, b"ready")
        await terminal.resize("owner", Size())
        async with terminal.attach(viewer="owner") as view:
            await terminal.write(b"x")
            assert await kept(workspace) == b"\x1b[0n"
            await terminal.exited()
            async for part in view:
                assert not isinstance(part, Chunk) or QUERY not in part.data

    @promise(since="1.1", needs=Capability.QUERIES, seconds=1.2)
    async def test_a_replay_shows_no_query(self, spawn: Spawn, workspace: Path) -> None:
        terminal = await spawn(f"{WAIT}; printf 'one\\033[5ntwo'; {KEEP}; read -r _")
        await shown(terminal, b"ready")
        async with watching(terminal, "owner", b"owner", Size()):
            await terminal.write(b"x")
            await kept(workspace)
        for mode in AttachMode:
            async with terminal.attach(0, mode, viewer="owner") as view:
                assert QUERY not in view.snapshot
                assert view.snapshot.index(b"two") - view.snapshot.index(b"one") == 3 + len(QUERY)
        assert QUERY not in await output_of_ended(terminal)

    @promise(since="1.1", needs=Capability.ADOPT, seconds=0.7)
    async def test_only_one_of_several_hosts_answers(
        self, spawn: Spawn, opening: Opening, workspace: Path
    ) -> None:
        skip_without_queries(opening)
        session = a_session()
        here = await spawn(f"{WAIT}; {ASK}; {KEEP}", session=session)
        await shown(here, b"ready")
        async with opening.open() as other:
            await adopted(other, recorded(session, here))
            await here.write(b"x")
            assert await kept(workspace) == b"\x1b[0n"

    @promise(since="1.1", needs=Capability.ADOPT, seconds=0.7)
    async def test_the_viewer_in_another_host_is_asked(
        self, spawn: Spawn, opening: Opening, workspace: Path
    ) -> None:
        skip_without_queries(opening)
        session = a_session()
        here = await spawn(f"{WAIT}; {ASK}; {KEEP}", session=session)
        await shown(here, b"ready")
        async with opening.open() as other:
            there = await adopted(other, recorded(session, here))
            async with (
                watching(here, "here", b"here", Size(30, 90)) as seen_here,
                watching(there, "there", b"there", Size(20, 70)) as seen_there,
            ):
                await here.write(b"x")
                assert await kept(workspace) == b"there"
                assert (seen_here, seen_there) == ([], ["there"])

    @promise(since="1.1", needs=Capability.ADOPT, seconds=3)
    async def test_a_query_while_no_host_runs_is_answered_once(
        self, spawn: Spawn, opening: Opening, workspace: Path
    ) -> None:
        skip_without_queries(opening)
        alone, there = until(workspace / "alone"), until(workspace / "adopted")
        keep = "stty min 0 time 5; cat >kept; touch complete"
        script = f"{RAW}; printf ready; {alone}; {ASK}; sleep {LATE}; touch late; {there}; {keep}"
        async with outliving(opening) as session:
            session, _ = await left_running(opening, session, script, "ready")
            (workspace / "alone").touch()
            await existing(workspace / "late")
            await adopted(spawn.spawner, session)
            (workspace / "adopted").touch()
            assert await kept(workspace) == b"\x1b[0n"


def until(path: Path) -> str:
    """Return a script that waits for a file at ``path``."""
    return f"until [ -e {path} ]; do sleep 0.01; done"


def skip_without_queries(opening: Opening) -> None:
    """Skip a promise that needs a second capability."""
    if Capability.QUERIES not in opening.spec.capabilities:
        pytest.skip("the provider does not declare the capability queries")


@asynccontextmanager
async def watching(
    terminal: Terminal, viewer: str | None, answer: bytes, size: Size | None = None
) -> AsyncIterator[list[str | None]]:
    """Let a viewer write ``answer`` for each query that it sees; give a list of its answers."""
    answered: list[str | None] = []

    async def watch(*, task_status: TaskStatus[None]) -> None:
        async with terminal.attach(viewer=viewer) as view:
            task_status.started()
            seen = b""
            async for part in view:
                seen += part.data if isinstance(part, Chunk) else b""
                while QUERY in seen:
                    seen = seen.partition(QUERY)[2]
                    answered.append(viewer)
                    await terminal.write(answer)

    if viewer is not None and size is not None:
        await terminal.resize(viewer, size)
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch)
        yield answered
        tasks.cancel_scope.cancel()


async def kept(workspace: Path) -> bytes:
    """Return the input of the process once it has read it all."""
    await existing(workspace / "complete")
    return (workspace / "kept").read_bytes()


async def existing(path: Path) -> None:
    """Wait until there is a file at ``path``."""
    with anyio.fail_after(PATIENCE):
        while not os.path.exists(path):  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def output_of_ended(terminal: Terminal) -> bytes:
    """End the process; return its output."""
    with anyio.fail_after(PATIENCE):
        await terminal.terminate(0)
    return await output_of(terminal)
