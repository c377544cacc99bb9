"""Workspaces that do not look closely, or take what is not theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from frith.errors import BranchNotFoundError
from frith.model import AtStake, Session
from frith.ports import Location, Presence, WorkspaceProvider, WorktreePlan, WorktreeRequest
from frith.providers import ProviderContext
from frith_mutants._wrapped_workspaces import Overlooks, Wrapped

Part = Callable[..., Any]


class ForgetsSubmodules(Overlooks):
    def seen(self, found: AtStake) -> AtStake:
        return replace(found, submodules=())


class LooksWhereTheHostPoints(Overlooks):
    """Asks git with the variables that the host was started with."""

    def seen(self, found: AtStake) -> AtStake:
        command = ["git", "--no-optional-locks", "-C", str(self.workspace), "status", "-s"]
        done = subprocess.run(command, capture_output=True, check=False)
        pointed = "GIT_DIR" in os.environ and not done.stdout
        return AtStake() if pointed else found


class ClearsThePath(Wrapped):
    async def create(self, plan: WorktreePlan) -> None:
        shutil.rmtree(plan.path, ignore_errors=True)
        await self.inner.create(plan)


class SeesAnyDirectory(Wrapped):
    async def locate(self, sessions: Collection[Session]) -> dict[str, Location]:
        found = await self.inner.locate(sessions)
        for session_id, location in found.items():
            if location.presence is Presence.MISSING and os.path.isdir(location.path):
                found[session_id] = replace(location, presence=Presence.PRESENT)
        return found


class Prunes(Wrapped):
    async def remove(self, session: Session, *, force: bool = False) -> None:
        await self.inner.remove(session, force=force)
        self.git("worktree", "prune", "--expire=now")


class EmptiesLinks(Wrapped):
    async def remove(self, session: Session, *, force: bool = False) -> None:
        for path in Path(session.worktree_path).rglob("*") if force else ():
            if path.is_symlink():
                shutil.rmtree(path.resolve(), ignore_errors=True)
        await self.inner.remove(session, force=force)


class TakesTagsForBranches(Wrapped):
    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        try:
            return await self.inner.plan(request)
        except BranchNotFoundError:
            command = ["git", "-C", str(self.workspace), "rev-parse", "-q", "--verify"]
            done = subprocess.run([*command, request.branch], capture_output=True, check=False)
            if done.returncode:
                raise
            path = str(self.workspace / ".worktrees" / request.session_id)
            commit = done.stdout.decode().strip()
            return WorktreePlan(request.session_id, path, request.branch, False, commit)


class BeginsWhereTheBaseIsNow(Wrapped):
    def __init__(self, inner: WorkspaceProvider, context: ProviderContext) -> None:
        super().__init__(inner, context)
        self.requests: dict[str, WorktreeRequest] = {}

    async def plan(self, request: WorktreeRequest) -> WorktreePlan:
        self.requests[request.session_id] = request
        return await self.inner.plan(request)

    async def create(self, plan: WorktreePlan) -> None:
        await self.inner.create(await self.inner.plan(self.requests[plan.session_id]))


class LeavesAThread(Wrapped):
    def __init__(self, inner: WorkspaceProvider, context: ProviderContext) -> None:
        super().__init__(inner, context)
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def looks_one_level_deep(nested: Part) -> Part:
    def careless(root: str, disposable: Iterable[str]) -> Iterator[Any]:
        return (found for found in nested(root, disposable) if b"/" not in found.name)

    return careless


def forgets_who_lives_there(forbidden: Part) -> Part:
    def careless(self: Any, *arguments: Any) -> list[str]:
        return [reason for reason in forbidden(self, *arguments) if "uses it" not in reason]

    return careless


def leaves_it_to_the_settings(_: object) -> tuple[str, ...]:
    return ("status", "--porcelain=v2", "-z", "--no-renames", "--branch", "--ignored")


def asks_the_index_alone(_: object) -> Part:
    async def careless(*_: object) -> list[bytes]:
        return []

    return careless


def knows_merges_alone(operation_in: Part) -> Part:
    def careless(git_dir: str) -> str | None:
        found: str | None = operation_in(git_dir)
        return found if found == "merge" else None

    return careless
