"""Opens a watch for each process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import create_task_group

from frith.model import Session
from frith.ports import AttachMode, StatusDetector, StatusWatch, Terminal
from frith_status.options import StatusOptions
from frith_status.rules import Rules, built_in
from frith_status.watch import Watch


class Detector(StatusDetector):
    """Watches processes by their output and by timers that fire once."""

    def __init__(self, options: StatusOptions) -> None:
        self._options = options
        self._rules = Rules([*options.rules, *built_in()])

    @asynccontextmanager
    async def watch(self, session: Session, terminal: Terminal) -> AsyncIterator[StatusWatch]:
        """Watch one process; see ``StatusDetector.watch``."""
        async with (
            create_task_group() as tasks,
            terminal.attach(mode=AttachMode.LOSSY) as attachment,
        ):
            watch = Watch(terminal, self._options, self._rules)
            tasks.start_soon(watch.follow, attachment)
            yield watch
            tasks.cancel_scope.cancel()
