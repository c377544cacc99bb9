"""Broken plugins with lifecycle hooks; each is a plugin of its own, by its entry point."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, ClassVar

import anyio

from spinney import hookimpl
from spinney.errors import SessionVetoed
from spinney.events import SessionCreated, SessionCreating


class Plugin:
    """A plugin that is broken."""

    name: ClassVar[str]
    broken: ClassVar[str]
    """What is wrong, in a sentence."""
    promise: ClassVar[str]
    """The promise meant to fail, as the report of the suite calls it."""


class Hangs(Plugin):
    name = "hangs"
    broken = "A hook never answers."
    promise = "hooks answer in time"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> None:
        await anyio.sleep_forever()


class Answers(Plugin):
    name = "answers"
    broken = "A hook returns something, which nobody asked for."
    promise = "hooks return nothing"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> Any:
        return event.session.name


class Fails(Plugin):
    name = "fails"
    broken = "A hook fails for sessions without metadata."
    promise = "hooks take every event without an error"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> None:
        raise KeyError("ticket")


class VetoesTooLate(Plugin):
    name = "vetoes-too-late"
    broken = "A session that exists already is vetoed."
    promise = "only hooks that may veto do"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> None:
        raise SessionVetoed("no more of them")


class VetoesWithoutReason(Plugin):
    name = "vetoes-without-reason"
    broken = "A session is refused without a word."
    promise = "a veto gives its reason"

    @hookimpl
    async def spinney_session_creating(self, event: SessionCreating) -> None:
        raise SessionVetoed("")


class Blocks(Plugin):
    name = "blocks"
    broken = "A hook blocks the event loop."
    promise = "the event loop goes on during hooks"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> None:
        threading.Event().wait(2)


class IgnoresCancellation(Plugin):
    name = "ignores-cancellation"
    broken = "A hook goes on when it is cancelled."
    promise = "a cancelled hook ends where it waits"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.1)


class ConfiguresLogging(Plugin):
    name = "configures-logging"
    broken = "A hook sets the level of the host's logging."
    promise = "hooks leave logging to the host"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> None:
        logging.getLogger().setLevel(logging.getLogger().level + 1)


class ChangesTheEnvironment(Plugin):
    name = "changes-the-environment"
    broken = "A hook sets a variable in the environment of the host."
    promise = "hooks leave what the process shares as it was"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> None:
        os.environ["LAST_SESSION"] = os.environ.get("LAST_SESSION", "") + "+"


class LeaksDescriptors(Plugin):
    name = "leaks-descriptors"
    broken = "Each call of a hook leaves a descriptor open."
    promise = "hooks use up no threads and no descriptors"

    @hookimpl
    async def spinney_session_created(self, event: SessionCreated) -> None:
        os.open(os.devnull, os.O_RDONLY)


hangs, answers, fails, blocks = Hangs(), Answers(), Fails(), Blocks()
vetoes_too_late, vetoes_without_reason = VetoesTooLate(), VetoesWithoutReason()
ignores_cancellation, configures_logging = IgnoresCancellation(), ConfiguresLogging()
changes_the_environment, leaks_descriptors = ChangesTheEnvironment(), LeaksDescriptors()

LIFECYCLE: tuple[Plugin, ...] = tuple(p for p in list(vars().values()) if isinstance(p, Plugin))
