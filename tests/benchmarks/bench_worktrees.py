"""Worktrees against plain git, interleaved in one run; only the ratios mean anything.

Alone: ``python tests/benchmarks/bench_worktrees.py [--files 10000] [--worktrees 100]``.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import anyio

from spinney.model import Session, SessionStatus, now
from spinney.ports import MarkerState, WorktreeRequest
from spinney_git import GitWorkspaceOptions
from spinney_git._recovery import GitRecovery
from spinney_git._workspace import GitWorkspace

ROUNDS = 15

Row = tuple[str, float, str]

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
    """Make a repository with ``files`` files of some 200 bytes, a hundred in each directory."""
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
    for path in (workspace / ".worktrees").iterdir():
        git(workspace, "worktree", "remove", "--force", "--force", str(path))


async def timed(action: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await action()
    return time.perf_counter() - start


def ratio(ours: list[float], theirs: list[float]) -> float:
    return median(one / other for one, other in zip(ours, theirs, strict=True))


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

    async def creations(self, files: int) -> Row:
        """Plan and create, against `git worktree add` alone."""
        ours: list[float] = []
        theirs: list[float] = []
        for turn in range(ROUNDS):
            pair = [(self.ours, ours), (self.theirs, theirs)]
            for action, times in pair if turn % 2 else reversed(pair):
                times.append(await timed(action))
            clear(self.workspace)
        bar = 1.05 if files < 1000 else 0.9
        what = f"create a worktree of {files} files"
        return what, ratio(ours, theirs), f"x `git worktree add` (bar {bar})"

    async def four(self, files: int) -> Row:
        """Four creations at once, against four of git in turn: at once those fail."""

        async def at_once() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(self.ours)

        async def in_turn() -> None:
            for _ in range(4):
                await self.theirs()

        ours, theirs = [], []
        for _ in range(max(3, ROUNDS // 3)):
            ours.append(await timed(at_once))
            theirs.append(await timed(in_turn))
            clear(self.workspace)
        what = f"create four of {files} files at once"
        return what, ratio(ours, theirs), "x four `git worktree add` in turn"

    async def processes(self) -> Row:
        before = self.provider.git.runs
        await self.ours()
        clear(self.workspace)
        return "git processes of a creation", self.provider.git.runs - before, ""

    async def rebuilds(self, worktrees: int) -> Row:
        recovery = GitRecovery(self.workspace)
        for _ in range(worktrees):
            await recovery.remember(await self.ours(), MarkerState.LIVE, durable=False)
        command = ["git", "-C", str(self.workspace), "worktree", "list", "--porcelain", "-z"]

        async def listing() -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(await timed(recovery.rebuild))
            theirs.append(await timed(listing))
        clear(self.workspace)
        what = f"rebuild {worktrees} sessions"
        return what, ratio(ours, theirs), "x `git worktree list` (bar 1.5)"


async def measure(files: int, worktrees: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        workspace = Path(directory) / "workspace"
        make_repository(workspace, files)
        bench = Bench(workspace)
        return [
            await bench.processes(),
            await bench.creations(files),
            await bench.four(files),
            await bench.rebuilds(worktrees),
        ]


def run(files: int = 100, worktrees: int = 4) -> list[Row]:
    """Return rows of what was measured, the figure, and what it is measured against."""
    return anyio.run(measure, files, worktrees)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--worktrees", type=int, default=4)
    for what, figure, against in run(**vars(parser.parse_args())):
        print(f"  {what:<48} {figure:>8.2f} {against}")
