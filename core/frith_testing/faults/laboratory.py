"""Runs the work of a scenario under a fault, and its check, again and again.

It uses the workspace of the opening itself, because files of a provider may contain its path.
Before each run the workspace is restored to its state after the preparation, at the end to its
state before.
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
"""Seconds after which a run counts as hanging, by default."""


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
        """The workspace before the preparation."""
        self.prepared: Tree = self.original
        """The workspace before the work."""

    def prepare(self) -> None:
        """Prepare the state that the work begins with.

        Raises:
            ViolationError: the preparation fails.
        """
        outcome = self.run(_prepare)
        if outcome.failure is not None:
            raise ViolationError(f"the work cannot be prepared: {outcome.failure}")
        self.prepared = captured(self.opening.workspace)

    def reset(self) -> None:
        """Restore the workspace to its state after the preparation."""
        restore(self.opening.workspace, self.prepared)

    def record(self, number: int = -1, fault: Fault | None = None) -> tuple[list[Call], Outcome]:
        """Do the work, by default without a fault; return its system calls, and its outcome."""
        with tempfile.NamedTemporaryFile(prefix="frith-trace-") as trace:
            outcome = self.run(_work, number, fault, trace.name)
            return list(shim.traced(trace.read())), outcome

    def work(self, number: int, fault: Fault) -> Outcome:
        """Do the work with ``fault`` at its system call ``number``, from 0."""
        return self.run(_work, number, fault, None)

    def check(self, acknowledged: Sequence[str]) -> Outcome:
        """Check what is in the workspace now."""
        return self.run(_check, acknowledged)

    def count_files(self) -> int:
        """Return the number of files and directories in the workspace now."""
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
        scenario: the work and its check.
        opening: the provider, on a workspace that nothing else uses meanwhile.
        backend: the event loop of the runs.
        timeout: seconds after which one run counts as hanging.
        server: forks the runs; by default a new one.

    Raises:
        ViolationError: the preparation fails.
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
        channel.report(text)
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
