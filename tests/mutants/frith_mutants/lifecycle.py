"""Broken plugins with lifecycle hooks; each is a plugin of its own, by its entry point."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
from contextlib import suppress
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import anyio
import anyio.lowlevel

from frith import ManagerConfig, hookimpl
from frith.errors import SessionVetoed
from frith.events import SessionCreated, SessionCreating
from frith.model import AtStake


class Plugin:
    """A plugin with a deliberate fault."""

    name: ClassVar[str]
    broken: ClassVar[str]
    """The fault, in a sentence."""
    promise: ClassVar[str]
    """The promise that must be reported as broken."""


class Hangs(Plugin):
    name = "hangs"
    broken = "A hook never answers."
    promise = "hooks return in time"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        await anyio.sleep_forever()


class Answers(Plugin):
    name = "answers"
    broken = "A hook returns a value, although its result is not used."
    promise = "hooks return nothing"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> Any:
        return event.session.name


class Fails(Plugin):
    name = "fails"
    broken = "A hook fails for sessions without metadata."
    promise = "hooks take every event without an error"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        raise KeyError("ticket")


class VetoesTooLate(Plugin):
    name = "vetoes-too-late"
    broken = "A session that exists already is vetoed."
    promise = "only hooks that may veto raise a veto"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        raise SessionVetoed("no more of them")


class VetoesWithoutReason(Plugin):
    name = "vetoes-without-reason"
    broken = "A session is refused without a word."
    promise = "a veto gives its reason"

    @hookimpl
    async def frith_session_creating(self, event: SessionCreating) -> None:
        raise SessionVetoed("")


class Blocks(Plugin):
    name = "blocks"
    broken = "A hook blocks the event loop."
    promise = "hooks do not block the event loop"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        threading.Event().wait(2)


class IgnoresCancellation(Plugin):
    name = "ignores-cancellation"
    broken = "A hook goes on when it is cancelled."
    promise = "a cancelled hook ends"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.1)


class ConfiguresLogging(Plugin):
    name = "configures-logging"
    broken = "A hook sets the level of the host's logging."
    promise = "hooks do not change logging"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        logging.getLogger().setLevel(logging.getLogger().level + 1)


class ChangesTheEnvironment(Plugin):
    name = "changes-the-environment"
    broken = "A hook sets a variable in the environment of the host."
    promise = "hooks do not change the shared state of the process"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        os.environ["LAST_SESSION"] = os.environ.get("LAST_SESSION", "") + "+"


class LeaksDescriptors(Plugin):
    name = "leaks-descriptors"
    broken = "Each call of a hook leaves a descriptor open."
    promise = "hooks leak no threads and no descriptors"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        os.open(os.devnull, os.O_RDONLY)


class VetoesOnce(Plugin):
    name = "vetoes-once"
    broken = "A veto holds only the first time."
    promise = "a veto holds for repeated calls"

    @hookimpl
    async def frith_session_creating(self, event: SessionCreating) -> None:
        if not vars(self).setdefault("asked", False):
            vars(self)["asked"] = True
            raise SessionVetoed("not today")


class BlocksNowAndThen(Plugin):
    name = "blocks-now-and-then"
    broken = "A hook blocks the event loop at every fiftieth call."
    promise = "repeated calls of hooks do not block the event loop"
    calls = count(1)

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        if next(self.calls) % 50 == 0:
            threading.Event().wait(1.2)


class PatchesTheCore(Plugin):
    name = "patches-the-core"
    broken = "A hook replaces a method of one of the core's classes."
    promise = "hooks do not replace code of the host"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        original = AtStake.summary

        @wraps(original)
        def summary(self: AtStake) -> str:
            return original(self)

        AtStake.summary = summary  # type: ignore[method-assign]


class Prints(Plugin):
    name = "prints"
    broken = "A hook prints what happened."
    promise = "hooks write nothing to standard output"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        print("created", event.session.name)


class LeavesProcesses(Plugin):
    name = "leaves-processes"
    broken = "A hook starts a process and does not wait for its end."
    promise = "hooks leave no processes behind"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        subprocess.Popen(["sleep", "2"])


class SetsTheTimeout(Plugin):
    name = "sets-the-timeout"
    broken = "A hook sets the timeout of every socket of the host."
    promise = "hooks do not change the shared state of the process"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        socket.setdefaulttimeout((socket.getdefaulttimeout() or 0) + 5)


class OpensWhenConfigured(Plugin):
    name = "opens-when-configured"
    broken = "A file is opened each time that a manager opens, and stays open."
    promise = "configuring leaks no threads and no descriptors"

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> None:
        os.open(os.devnull, os.O_RDONLY)


class LeaksThreads(Plugin):
    name = "leaks-threads"
    broken = "Each call of a hook starts a thread, and does not wait for its end."
    promise = "hooks leak no threads and no descriptors"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        threading.Thread(target=threading.Event().wait, args=[5], daemon=True).start()


class LeaksACancellation(Plugin):
    name = "leaks-a-cancellation"
    broken = "A hook awaits what it has cancelled itself."
    promise = "hooks raise neither a cancellation nor an exit"

    @hookimpl
    async def frith_session_creating(self, event: SessionCreating) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await anyio.lowlevel.checkpoint()
            except BaseException as error:
                leaked = error
        raise leaked


class EndsTheHost(Plugin):
    name = "ends-the-host"
    broken = "A hook ends the program when it is displeased."
    promise = "hooks raise neither a cancellation nor an exit"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        raise SystemExit(3)


class ExitsWhenConfigured(Plugin):
    name = "exits-when-configured"
    broken = "A plugin ends the program when its own settings are missing."
    promise = "a plugin is loaded and configured without an error"

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> None:
        if "exits-when-configured" not in config.options.get("plugin", {}):
            raise SystemExit("no settings")


class SwallowsCancellation(Plugin):
    name = "swallows-cancellation"
    broken = "A hook tries again whatever happens, a cancellation included."
    promise = "a cancelled hook ends"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        for _ in range(10):
            with suppress(BaseException):
                await anyio.sleep(0.001)


class ChangesTheSession(Plugin):
    name = "changes-the-session"
    broken = "A hook changes details of the session behind its back."
    promise = "hooks do not change their events"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        details = event.session.details.__dict__
        details["command"] = (*(details["command"] or ()), "--verbose")


class KnowsTheLastManager(Plugin):
    name = "knows-the-last-manager"
    broken = "What a manager is configured with holds for every manager of the process."
    promise = "another manager does not change the results of hooks"
    workspace = ""

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> None:
        self.workspace = str(config.workspace)

    @hookimpl
    async def frith_session_creating(self, event: SessionCreating) -> None:
        if event.workspace != self.workspace:
            raise SessionVetoed(f"sessions are created in {self.workspace}")


class WritesWhereItWasLast(Plugin):
    name = "writes-where-it-was-last"
    broken = "The events of every manager are written into the workspace of the last one."
    promise = "hooks write nothing in the workspace of another manager"
    file = Path(os.devnull)

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> None:
        self.file = config.workspace / "events"

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        with self.file.open("a") as file:
            file.write(f"{event.session.id}\n")


class HandlesAllLogging(Plugin):
    name = "handles-all-logging"
    broken = "A handler is added to the root logger each time that a manager opens."
    promise = "loading and configuring do not change logging"

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> None:
        logging.getLogger().addHandler(logging.NullHandler())


class TellsEveryChild(Plugin):
    name = "tells-every-child"
    broken = "A variable in the environment of the host names the workspace that was opened last."
    promise = "configuring does not change the shared state of the process"

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> None:
        os.environ["LAST_WORKSPACE"] = str(config.workspace)


hangs, answers, fails, blocks = Hangs(), Answers(), Fails(), Blocks()
vetoes_too_late, vetoes_without_reason = VetoesTooLate(), VetoesWithoutReason()
ignores_cancellation, configures_logging = IgnoresCancellation(), ConfiguresLogging()
changes_the_environment, leaks_descriptors = ChangesTheEnvironment(), LeaksDescriptors()
vetoes_once, blocks_now_and_then, prints = VetoesOnce(), BlocksNowAndThen(), Prints()
patches_the_core, leaves_processes = PatchesTheCore(), LeavesProcesses()
sets_the_timeout, opens_when_configured = SetsTheTimeout(), OpensWhenConfigured()
leaks_threads, leaks_a_cancellation = LeaksThreads(), LeaksACancellation()
ends_the_host, exits_when_configured = EndsTheHost(), ExitsWhenConfigured()
swallows_cancellation, changes_the_session = SwallowsCancellation(), ChangesTheSession()
knows_the_last_manager, writes_where_it_was_last = KnowsTheLastManager(), WritesWhereItWasLast()
handles_all_logging, tells_every_child = HandlesAllLogging(), TellsEveryChild()

LIFECYCLE: tuple[Plugin, ...] = tuple(p for p in list(vars().values()) if isinstance(p, Plugin))
