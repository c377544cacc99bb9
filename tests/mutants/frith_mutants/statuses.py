"""Broken status providers, and what stands in front of the built-in one to break it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import ClassVar

from anyio import create_task_group

from frith.model import Session, SessionStatus, Source
from frith.ports import Conclusion, StatusDetector, StatusWatch, Stuck, Terminal
from frith.providers import ProviderContext, Role
from frith_mutants import _default_threads as threads
from frith_mutants.mutant import Mutant

_mutant = partial(Mutant, Role.STATUS)


class Watched(StatusWatch):
    """Calls the wrapped provider."""

    def __init__(self, inner: StatusWatch) -> None:
        self.inner = inner

    def tell(self, conclusion: Conclusion) -> None:
        self.inner.tell(conclusion)

    async def __aiter__(self) -> AsyncIterator[Conclusion | Stuck]:
        async for finding in self.inner:
            yield finding


class Wrapped(StatusDetector):
    """Calls the wrapped provider."""

    watches: type[Watched] = Watched

    def __init__(self, inner: StatusDetector, context: ProviderContext) -> None:
        self.inner = inner

    @asynccontextmanager
    async def watch(self, session: Session, terminal: Terminal) -> AsyncIterator[StatusWatch]:
        async with self.inner.watch(session, terminal) as watch:
            yield self.watches(watch)


class LosesMessages(Watched):
    def tell(self, conclusion: Conclusion) -> None:
        self.inner.tell(replace(conclusion, message=None))


class TellsAll(Watched):
    everyone: ClassVar[list[StatusWatch]] = []

    def __init__(self, inner: StatusWatch) -> None:
        super().__init__(inner)
        self.everyone.append(inner)

    def tell(self, conclusion: Conclusion) -> None:
        for watch in self.everyone:
            watch.tell(conclusion)


class ConcludesTheEnd(Watched):
    async def __aiter__(self) -> AsyncIterator[Conclusion | Stuck]:
        async for finding in self.inner:
            yield finding
        yield Conclusion(SessionStatus.STOPPED, Source.PROCESS)


class KeepsTheFirstMessage(Watched):
    first: str | None = None

    def tell(self, conclusion: Conclusion) -> None:
        if conclusion.message is not None:
            self.first = self.first or conclusion.message
        self.inner.tell(replace(conclusion, message=conclusion.message and self.first))


class EndsWhatItWatched(Wrapped):
    @asynccontextmanager
    async def watch(self, session: Session, terminal: Terminal) -> AsyncIterator[StatusWatch]:
        try:
            async with self.inner.watch(session, terminal) as watch:
                yield watch
        finally:
            await terminal.signal(1)


class AsksTheTerminal(Wrapped):
    @asynccontextmanager
    async def watch(self, session: Session, terminal: Terminal) -> AsyncIterator[StatusWatch]:
        await terminal.write(b"\x1b[6n")
        async with self.inner.watch(session, terminal) as watch:
            yield watch


class _ReadsItself(Wrapped):
    """Reads the output beside the watch."""

    async def read(self, terminal: Terminal) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def watch(self, session: Session, terminal: Terminal) -> AsyncIterator[StatusWatch]:
        async with create_task_group() as tasks, self.inner.watch(session, terminal) as watch:
            tasks.start_soon(self.read, terminal)
            yield watch
            tasks.cancel_scope.cancel()


class DecodesStrictly(_ReadsItself):
    async def read(self, terminal: Terminal) -> None:
        async with terminal.attach() as view:
            view.snapshot.decode()
            async for part in view:
                getattr(part, "data", b"").decode()


class KnowsNoGaps(_ReadsItself):
    async def read(self, terminal: Terminal) -> None:
        async with terminal.attach() as view:
            seen = [part.data async for part in view]  # type: ignore[union-attr]
            seen.append(view.snapshot)


class WatchesOnce(Wrapped):
    def __init__(self, inner: StatusDetector, context: ProviderContext) -> None:
        super().__init__(inner, context)
        self.watching: set[str] = set()

    @asynccontextmanager
    async def watch(self, session: Session, terminal: Terminal) -> AsyncIterator[StatusWatch]:
        if session.id in self.watching:
            raise RuntimeError(f"{session.id} is watched")
        self.watching.add(session.id)
        async with self.inner.watch(session, terminal) as watch:
            yield watch


class HasAThread(Wrapped):
    @asynccontextmanager
    async def watch(self, session: Session, terminal: Terminal) -> AsyncIterator[StatusWatch]:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        async with self.inner.watch(session, terminal) as watch:
            yield watch


def _with(watches: type[Watched]) -> type[Wrapped]:
    return type(watches.__name__, (Wrapped,), {"watches": watches})


STATUSES = (
    _mutant(
        "loses-messages",
        "What the user is asked is not taken along.",
        "a reported status is concluded with its message",
        wraps=_with(LosesMessages),
    ),
    _mutant(
        "tells-all",
        "What is told of one process is told of all.",
        "a report about one process does not affect another",
        wraps=_with(TellsAll),
    ),
    _mutant(
        "concludes-the-end",
        "The end of the process is a conclusion, which is the manager's.",
        "the watch ends with its process",
        wraps=_with(ConcludesTheEnd),
    ),
    _mutant(
        "keeps-the-first-message",
        "What the user was asked first is what the user is asked ever after.",
        "a later report is concluded",
        wraps=_with(KeepsTheFirstMessage),
    ),
    _mutant(
        "ends-what-it-watched",
        "The end of the watch is the end of the process.",
        "a cancelled watch does not affect the process",
        wraps=EndsWhatItWatched,
    ),
    _mutant(
        "asks-the-terminal",
        "The watch writes to the process.",
        "a cancelled watch does not affect the process",
        wraps=AsksTheTerminal,
    ),
    _mutant(
        "decodes-strictly",
        "Output that is not UTF-8 ends the watch.",
        "output of any kind does not end the watch",
        wraps=DecodesStrictly,
    ),
    _mutant(
        "knows-no-gaps",
        "A gap in the output ends the watch.",
        "a gap in the output does not end the watch",
        wraps=KnowsNoGaps,
    ),
    _mutant(
        "watches-once",
        "A session that was watched is not watched again.",
        "a process can be watched twice",
        wraps=WatchesOnce,
    ),
    _mutant(
        "has-a-thread",
        "Each watch has a thread, which stays.",
        "an ended watch leaves no descriptor and no thread",
        wraps=HasAThread,
    ),
    _mutant(
        "shares-its-threads",
        "A watch waits for threads that other workspaces occupy.",
        "its operations do not need the default threads",
        wraps=threads.watches_in_any_thread,
    ),
)
