"""Spawners that stand in front of the built-in one."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import threading
from dataclasses import replace
from typing import Any

import anyio

from frith.errors import CommandNotFoundError, SpawnError
from frith.model import Session, SessionId
from frith.ports import SpawnRequest, SweepReport, Terminal, TerminalSpawner
from frith.providers import ProviderContext
from frith_os.processes import environ_of


class WrappedSpawner(TerminalSpawner):
    """Calls the wrapped provider."""

    def __init__(self, inner: TerminalSpawner, context: ProviderContext) -> None:
        self.inner = inner

    async def spawn(self, request: SpawnRequest) -> Terminal:
        return await self.inner.spawn(request)

    async def sweep(self, session: Session, grace: float) -> SweepReport:
        return await self.inner.sweep(session, grace)


class WrappedKeeper(WrappedSpawner):
    """Calls the wrapped provider, also for processes that outlive their host."""

    async def adopt(self, session: Session) -> Terminal | None:
        return await self.inner.adopt(session)

    async def recall(self, session: Session) -> Terminal | None:
        return await self.inner.recall(session)

    async def forget(self, session_id: SessionId) -> None:
        await self.inner.forget(session_id)

    async def kept(self) -> dict[SessionId, int]:
        return await self.inner.kept()


class FindsNothing(WrappedKeeper):
    async def adopt(self, session: Session) -> Terminal | None:
        return None


class ListsNothing(WrappedKeeper):
    async def kept(self) -> dict[SessionId, int]:
        return {}


class SweepsInSilence(WrappedKeeper):
    async def sweep(self, session: Session, grace: float) -> SweepReport:
        await self.inner.sweep(session, grace)
        return SweepReport()


class RemembersForEver(WrappedKeeper):
    async def forget(self, session_id: SessionId) -> None:
        return


class RecallsAnything(WrappedKeeper):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        self.last = await self.inner.spawn(request)
        return self.last

    async def recall(self, session: Session) -> Terminal | None:
        return await self.inner.recall(session) or self.last


class StartsOver(WrappedKeeper):
    async def adopt(self, session: Session) -> Terminal | None:
        await self.inner.sweep(session, 0)
        command = ("sh", "-c", "while read -r line; do echo got $line; done")
        original: Any = self.inner
        workspace = original._workspace
        return await self.inner.spawn(SpawnRequest(session.id, command, workspace, workspace))


class ForgetsVariables(WrappedSpawner):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        return await self.inner.spawn(replace(request, env={}))


class SearchesLikeTheHost(WrappedSpawner):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        command = request.command
        if command and (found := shutil.which(command[0])):
            request = replace(request, command=(found, *command[1:]))
        elif command and "\0" not in command[0]:
            raise CommandNotFoundError(command, "it is not in the PATH of the host")
        return await self.inner.spawn(request)


class LetsErrorsThrough(WrappedSpawner):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        try:
            return await self.inner.spawn(request)
        except SpawnError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno == errno.E2BIG:
                raise cause from None
            raise


class WaitsForOutput(WrappedSpawner):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        terminal = await self.inner.spawn(request)
        internals: Any = terminal
        select.select([internals._output.master], [], [])
        return terminal


class MainThreadOnly(WrappedSpawner):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        signal.signal(signal.SIGWINCH, signal.getsignal(signal.SIGWINCH))
        return await self.inner.spawn(request)


class SweepsByPid(WrappedSpawner):
    async def sweep(self, session: Session, grace: float) -> SweepReport:
        if session.pty_pid is None:
            return SweepReport()
        os.kill(session.pty_pid, signal.SIGKILL)
        return SweepReport(found=(session.pty_pid,), ended=(session.pty_pid,))


class SweepsOneGroup(WrappedSpawner):
    async def sweep(self, session: Session, grace: float) -> SweepReport:
        pid = session.pty_pid
        entry = f"FRITH_SESSION_ID={session.id}".encode()
        if pid is None or entry not in (environ_of(pid) or ()):
            return SweepReport()
        os.killpg(pid, signal.SIGKILL)
        while environ_of(pid):  # noqa: ASYNC110 - the kernel sends no event
            await anyio.sleep(0.01)
        return SweepReport(found=(pid,), ended=(pid,))


class KeepsAThread(WrappedSpawner):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return await self.inner.spawn(request)


class ForgetsWhenCancelled(WrappedSpawner):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        terminal = await self.inner.spawn(request)
        await anyio.sleep(1)
        return terminal


class LeaksWhenRefusing(WrappedSpawner):
    async def spawn(self, request: SpawnRequest) -> Terminal:
        try:
            return await self.inner.spawn(request)
        except SpawnError:
            os.openpty()
            raise
