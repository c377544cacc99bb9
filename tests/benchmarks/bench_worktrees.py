"""Worktrees compared with plain git, alternating in one run; only the ratios are meaningful.

Each row has the time of plain git and the bar beside its ratio, which is the median of eleven
rounds.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import anyio

from frith.model import Session, SessionStatus, now
from frith.ports import DiffScope, MarkerState, WorktreeRequest
from frith_git import GitWorkspaceOptions
from frith_git.git import run_process
from frith_git.recovery import GitRecovery
from frith_git.workspace import GitWorkspace

ROUNDS = 11

Row = tuple[str, float, str]
Action = Callable[[], Awaitable[object]]

_IDENTITY = (
    "-c",
    "user.name=B",
    "-c",
    "user.email=b@example.invalid",
    "-c",
    "commit.gpgsign=false",
)


def git(workspace: Path, *args: str) -> None:
    subprocess.run(["git", "-C", str(workspace), *args], check=True, capture_output=True)


def make_repository(workspace: Path, files: int) -> None:
    """Create a repository with ``files`` files of about 200 bytes, a hundred in each directory."""
    workspace.mkdir()
    for number in range(files):
        path = workspace / f"directory-{number // 100}" / f"file-{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{number}\n" * 40)
    git(workspace, "init", "--quiet")
    git(workspace, "add", "--all")
    git(workspace, *_IDENTITY, "commit", "--quiet", "-m", "all")


def plain(workspace: Path, name: str) -> list[str]:
    path = str(workspace / ".worktrees" / name)
    options = ["--quiet", "--no-track", "--lock", "--reason", name, "-b", f"plain/{name}"]
    return ["git", "-C", str(workspace), "worktree", "add", *options, path, "HEAD"]


def clear(workspace: Path) -> None:
    """Remove every worktree, including the rest of a failed `git worktree add`."""
    for path in (workspace / ".worktrees").iterdir():
        shutil.rmtree(path)
    for admin in (workspace / ".git" / "worktrees").glob("*"):
        shutil.rmtree(admin)


async def timed(action: Action) -> float:
    start = time.perf_counter()
    await action()
    return time.perf_counter() - start


class Pairs:
    """Alternating times of frith and of plain git."""

    def __init__(self) -> None:
        self.ours: list[float] = []
        self.theirs: list[float] = []

    def row(self, what: str, against: str, bar: float) -> Row:
        ratios = [one / other for one, other in zip(self.ours, self.theirs, strict=True)]
        bare = f"{1000 * median(self.theirs):.1f} ms"
        return what, median(ratios), f"x {against} ({bare}; bar {bar})"


class Bench:
    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.provider = GitWorkspace(GitWorkspaceOptions(), workspace)

    async def ours(self) -> Session:
        session_id = str(uuid.uuid4())
        request = WorktreeRequest(session_id, f"feature/{session_id}")
        plan = await self.provider.plan(request)
        await self.provider.create(plan)
        return Session(
            id=session_id,
            name="bench",
            status=SessionStatus.IDLE,
            branch=plan.branch,
            worktree_path=plan.path,
            created_at=now(),
            last_activity=now(),
        )

    async def theirs(self) -> None:
        await anyio.to_thread.run_sync(
            lambda: subprocess.run(plain(self.workspace, str(uuid.uuid4())), check=True)
        )

    async def pairs(self, ours: Action, theirs: Action) -> Pairs:
        pairs = Pairs()
        for turn in range(ROUNDS):
            both = [(ours, pairs.ours), (theirs, pairs.theirs)]
            for action, times in both if turn % 2 else reversed(both):
                times.append(await timed(action))
                clear(self.workspace)
        return pairs

    async def creations(self, files: int, bar: float) -> Row:
        """Compare planning and creating with `git worktree add`."""
        pairs = await self.pairs(self.ours, self.theirs)
        return pairs.row(f"create a worktree of {files} files", "`git worktree add`", bar)

    async def four(self) -> list[Row]:
        """Compare four concurrent creations with four of git, in turn and concurrent."""
        failures = 0

        async def ours_at_once() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(self.ours)

        async def in_turn() -> None:
            for _ in range(4):
                await self.theirs()

        async def at_once() -> None:
            nonlocal failures
            commands = [plain(self.workspace, str(uuid.uuid4())) for _ in range(4)]
            running = [subprocess.Popen(each, stderr=subprocess.DEVNULL) for each in commands]
            for process in running:
                failures += await anyio.to_thread.run_sync(process.wait) != 0

        what = "create four of 100 files at once"
        beside = await self.pairs(ours_at_once, at_once)
        in_turns = await self.pairs(ours_at_once, in_turn)
        failed = f"four at once, of which {failures} of {4 * ROUNDS} failed"
        return [in_turns.row(what, "four in turn", 1.1), beside.row(what, failed, 1.1)]

    async def processes(self) -> Row:
        started = 0

        async def counting(*args: Any, **options: Any) -> Any:
            nonlocal started
            started += 1
            return await run_process(*args, **options)

        with patch("frith_git.git.run_process", counting):
            await self.ours()
        clear(self.workspace)
        return "git processes of a creation", started, ""

    async def rebuilds(self, worktrees: int) -> Row:
        recovery = GitRecovery(self.workspace)
        for _ in range(worktrees):
            await recovery.remember(await self.ours(), MarkerState.LIVE, durable=False)
        command = ["git", "-C", str(self.workspace), "worktree", "list", "--porcelain", "-z"]

        async def listing() -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        pairs = Pairs()
        for _ in range(ROUNDS):
            pairs.ours.append(await timed(recovery.rebuild))
            pairs.theirs.append(await timed(listing))
        clear(self.workspace)
        return pairs.row(f"rebuild {worktrees} sessions", "`git worktree list`", 1.5)

    async def changes(self, scope: DiffScope, commands: list[list[str]], bar: float) -> Row:
        """Compare listing the changed files of a worktree with the git commands that do it."""
        session = await self.ours()
        tree = Path(session.worktree_path)
        for number in range(0, 10_000, 100):
            directory = tree / f"directory-{number // 100}"
            (directory / f"file-{number}").write_text("changed\n")
            (directory / "new").write_text("new\n")

        def run() -> None:
            for command in commands:
                subprocess.run(["git", "-C", tree, *command], check=True, capture_output=True)

        pairs = Pairs()
        for turn in range(ROUNDS):
            both: list[tuple[Action, list[float]]] = [
                (partial(self.provider.changed_files, session, scope), pairs.ours),
                (partial(anyio.to_thread.run_sync, run), pairs.theirs),
            ]
            for action, times in both if turn % 2 else reversed(both):
                times.append(await timed(action))
        clear(self.workspace)
        against = ", ".join(f"`git {command[0]}`" for command in commands)
        return pairs.row(f"changed files ({scope}) of 10000 files", against, bar)


async def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        few, many = Path(directory) / "few", Path(directory) / "many"
        make_repository(few, 100)
        bench = Bench(few)
        rows = [
            await bench.processes(),
            await bench.creations(100, bar=1.05),
            *await bench.four(),
            await bench.rebuilds(4),
            await bench.rebuilds(100),
        ]
        make_repository(many, 10_000)
        bench = Bench(many)
        unstaged = ["diff", "--numstat"]
        base = ["merge-base", "HEAD", "HEAD"]
        branch = ["diff", "--numstat", "HEAD"]
        untracked = ["ls-files", "--others", "--exclude-standard"]
        return [
            *rows,
            await bench.creations(10_000, bar=0.9),
            await bench.changes(DiffScope.UNSTAGED, [unstaged], bar=1.2),
            await bench.changes(DiffScope.BRANCH, [base, branch, untracked], bar=2.0),
        ]


def run() -> list[Row]:
    """Return rows: the measurement, the figure, and the reference."""
    return anyio.run(measure)
