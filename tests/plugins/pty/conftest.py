"""Real terminals, and the promise that each test keeps: nothing is left when they close."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

import frith_pty
from frith.ports import Attachment, AttachMode, Chunk, SpawnRequest, Terminal, TerminalSpawner
from frith_testing.harness.opening import Context


class Opener(Protocol):
    def __call__(self, **options: Any) -> AbstractAsyncContextManager[TerminalSpawner]: ...


Shell = Callable[..., Awaitable[Terminal]]


def descriptors() -> set[str]:
    return {
        target
        for fd in os.listdir("/proc/self/fd")
        if (target := _target(fd)).startswith(("/dev/pt", "anon_inode:[pidfd]"))
    }


def _target(fd: str) -> str:
    try:
        return f"{os.readlink(f'/proc/self/fd/{fd}')} as {fd}"
    except FileNotFoundError:
        return ""


class Transcript:
    """Everything that a viewer has seen so far."""

    def __init__(self, view: Attachment) -> None:
        self.view = view
        self.seen = view.snapshot

    async def until(self, marker: bytes) -> bytes:
        while marker not in self.seen:
            item = await anext(self.view.__aiter__())
            assert isinstance(item, Chunk), item
            self.seen += item.data
        return self.seen


@pytest.fixture
def session_id() -> str:
    return str(uuid4())


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Opens the provider through its entry point, as a manager does."""
    (spec,) = frith_pty.frith_providers()

    def open_with(**options: Any) -> AbstractAsyncContextManager[TerminalSpawner]:
        return spec.factory(spec.config(**options), Context(tmp_path))

    return open_with


@pytest.fixture
async def spawner(opened: Opener) -> AsyncIterator[TerminalSpawner]:
    before = descriptors()
    async with opened() as spawner:
        yield spawner
    assert descriptors() == before
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)


@pytest.fixture
def request_for(tmp_path: Path, session_id: str) -> Callable[..., SpawnRequest]:
    def build(*command: str, **fields: Any) -> SpawnRequest:
        return SpawnRequest(
            **{
                "session_id": session_id,
                "command": command,
                "cwd": str(tmp_path),
                "workspace": str(tmp_path),
                **fields,
            }
        )

    return build


@pytest.fixture
def shell(spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest]) -> Shell:
    """Starts a script in ``sh``."""

    async def start(script: str, **fields: Any) -> Terminal:
        return await spawner.spawn(request_for("sh", "-c", script, **fields))

    return start


@pytest.fixture
def python(spawner: TerminalSpawner, request_for: Callable[..., SpawnRequest]) -> Shell:
    """Starts a program in Python."""

    async def start(program: str, **fields: Any) -> Terminal:
        return await spawner.spawn(request_for(sys.executable, "-SEc", program, **fields))

    return start


async def everything(terminal: Terminal) -> bytes:
    """Return all that ``terminal`` has written when it is drained."""
    await terminal.drained()
    async with terminal.attach() as view:
        return view.snapshot


@pytest.fixture
def output_of() -> Callable[[Terminal], Awaitable[bytes]]:
    return everything


@pytest.fixture
def transcript() -> type[Transcript]:
    return Transcript

    return AttachMode.LOSSLESS
