"""One scenario, prepared: its work is done under a fault and judged, again and again.

The workspace of the opening is used itself, for what a provider keeps may name it. Between two
runs it is made again what it was after the preparation, at the end what it was before.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal, TypeAlias

import anyio

from frith_testing.faults import shim
from frith_testing.faults.fork_server import Channel, ForkServer, Outcome, fork_server
from frith_testing.faults.scenario import Scenario, ViolationError
from frith_testing.faults.shim import Call, Fault
from frith_testing.faults.tree import Tree, captured, restore
from frith_testing.harness.opening import Opening

Backend: TypeAlias = Literal["asyncio", "trio"]
TIMEOUT = 30.0
"""Seconds after which a run is taken to hang, unless told otherwise."""


class Laboratory:
    """Runs one scenario; made by :func:`laboratory`."""

    def __init__(
        self,
        server: ForkServer,
        scenario: Scenario,
        opening: Opening,
        backend: Backend,
        timeout: float,
    ) -> None:
        self._server = server
        self.scenario = scenario
        self.opening = opening
        self.backend: Backend = backend
        self.timeout = timeout
        self.original = captured(opening.workspace)
        """What is in the workspace before the preparation."""
        self.prepared: Tree = self.original
        """What is in the workspace before the work."""

    def prepare(self) -> None:
        """Make the state that the work begins with.

        Raises:
            ViolationError: even that fails.
        """
        outcome = self.run(_prepare)
        if outcome.failure is not None:
            raise ViolationError(f"the work cannot be prepared: {outcome.failure}")
        self.prepared = captured(self.opening.workspace)

    def reset(self) -> None:
        """Make the workspace again what it was after the preparation."""
        restore(self.opening.workspace, self.prepared)

    def record(self, number: int = -1, fault: Fault | None = None) -> tuple[list[Call], Outcome]:
        """As :meth:`work`, without a fault unless one is given; return its system calls, too."""
        with tempfile.NamedTemporaryFile(prefix="frith-trace-") as trace:
            outcome = self.run(_work, number, fault, trace.name)
            return list(shim.traced(trace.read())), outcome

    def work(self, number: int, fault: Fault) -> Outcome:
        """Do the work with ``fault`` at its system call ``number``, from 0."""
        return self.run(_work, number, fault, None)

    def check(self, acknowledged: Sequence[str]) -> Outcome:
        """Judge what is in the workspace now."""
        return self.run(_check, acknowledged)

    def count_files(self) -> int:
        """Return how many files and directories are in the workspace now."""
        return len(captured(self.opening.workspace))

    def run(self, function: Callable[..., object], *args: object) -> Outcome:
        """Call ``function(channel, scenario, opening, backend, *args)`` in a child."""
        return self._server.run(
            function, self.scenario, self.opening, self.backend, *args, timeout=self.timeout
        )


@contextmanager
def laboratory(
    scenario: Scenario,
    opening: Opening,
    backend: Backend = "asyncio",
    timeout: float = TIMEOUT,
    server: ForkServer | None = None,
) -> Iterator[Laboratory]:
    """Open a laboratory with ``scenario`` prepared in the workspace of ``opening``.

    Args:
        scenario: what is done and judged.
        opening: the provider, on a workspace that nobody else uses meanwhile.
        backend: the event loop of the runs.
        timeout: seconds after which one run is taken to hang.
        server: forks the runs; one of its own unless given.

    Raises:
        ViolationError: the scenario cannot even be prepared.
        RuntimeError: system calls cannot be intercepted: see :func:`.shim.unavailable`.
    """
    opening = opening.at(opening.workspace.resolve())
    with nullcontext(server) if server else fork_server() as running:
        opened = Laboratory(running, scenario, opening, backend, timeout)
        try:
            opened.prepare()
            yield opened
        finally:
            restore(opening.workspace, opened.original)


def _prepare(_channel: Channel, scenario: Scenario, opening: Opening, backend: Backend) -> None:
    anyio.run(scenario.prepare, opening, backend=backend)


def _work(
    channel: Channel,
    scenario: Scenario,
    opening: Opening,
    backend: Backend,
    number: int,
    fault: Fault | None,
    trace: str | None,
) -> None:
    """Do the work while the shim is armed."""

    def acknowledge(text: str) -> None:
        channel.tell(text)
        shim.mark(text)

    async def work(trace_fd: int) -> None:
        root = Path(opening.workspace)
        shim.arm(root, number, fault, trace=trace_fd, hits=channel.fd)
        try:
            await scenario.work(opening, acknowledge)
        finally:
            shim.disarm()

    fd = -1 if trace is None else os.open(trace, os.O_WRONLY | os.O_APPEND)
    try:
        anyio.run(work, fd, backend=backend)
    finally:
        if fd >= 0:
            os.close(fd)


def _check(
    _channel: Channel,
    scenario: Scenario,
    opening: Opening,
    backend: Backend,
    acknowledged: Sequence[str],
) -> None:
    anyio.run(scenario.check, opening, acknowledged, backend=backend)
