"""Every state that a crash or a power cut may leave on the disk, generated and checked.

The work runs once and its system calls are traced. :mod:`frith_testing.faults.disk_model.disk`
generates the states from the trace. Then the work runs again for each of its fsync(2) calls, which
fails, because data that was not synced may be lost whatever the caller reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import anyio

from frith_testing.faults.disk_model.disk import Model
from frith_testing.faults.disk_model.replay import CrashState, CrashStates
from frith_testing.faults.findings import Report, Violation
from frith_testing.faults.fork_server import Channel, ForkServer, explained
from frith_testing.faults.laboratory import TIMEOUT, Backend, Laboratory, laboratory
from frith_testing.faults.scenario import Scenario, ViolationError
from frith_testing.faults.shim import Call, Fault
from frith_testing.faults.tree import Tree, inodes, restore
from frith_testing.harness.opening import Opening

_BATCH = 200
"""States that are checked in one process."""


def at_every_crash_state(
    scenario: Scenario,
    opening: Opening,
    *,
    models: Sequence[Model] = tuple(Model),
    limit: int = 10_000,
    backend: Backend = "asyncio",
    timeout: float = TIMEOUT,
    server: ForkServer | None = None,
) -> Report:
    """Check each state that a crash during the work of ``scenario`` may leave.

    Each check is given what had been acknowledged by that moment.

    Args:
        scenario: the work and its check.
        opening: the provider, on a workspace that nothing else uses meanwhile.
        models: which changes a crash may lose.
        limit: how many states of each model and trace are checked, evenly spread; the others are
            counted as left out.
        backend: the event loop of the work and of the checks.
        timeout: seconds after which a check counts as hanging, which is a violation.
        server: forks the runs; by default a new one.

    Raises:
        ViolationError: the work fails without a crash.
        UnmodelledError: the provider changes files in a way that the models do not know.
        RuntimeError: system calls cannot be intercepted: see :func:`.shim.unavailable`.
    """
    tried: Counter[str] = Counter()
    violations: list[Violation] = []
    left_out = 0
    with laboratory(scenario, opening, backend, timeout, server) as lab:
        root = lab.opening.workspace
        numbers = inodes(root)
        for fault, calls in _traces(lab):
            states = CrashStates(root, lab.prepared, numbers, calls)
            for model in models:
                every = list(states.each(model))
                chosen = every[:: -(-len(every) // limit) or 1]
                left_out += len(every) - len(chosen)
                for start in range(0, len(chosen), _BATCH):
                    batch = chosen[start : start + _BATCH]
                    tried[model] += len(batch)
                    for state, broken in _violations(lab, batch):
                        violations.append(Violation(state.where, f"{model} crash{fault}", broken))
            left_out += states.left_out
            lab.reset()
            numbers = inodes(root)
    return Report("states", tried, tuple(violations), left_out)


def _traces(lab: Laboratory) -> Iterator[tuple[str, list[Call]]]:
    """Yield the calls of the work without a fault, then with each of its fsync(2) failing."""
    calls, outcome = lab.record()
    if outcome.failure is not None:
        raise ViolationError(f"the work fails without a crash: {outcome.failure}")
    yield "", calls
    operations = [call for call in calls if call.op != "mark"]
    for number, call in enumerate(operations):
        if call.op == "sync":
            calls, outcome = lab.record(number, Fault.EIO)
            if outcome.hit is not None:
                yield f" after a failed {call}", calls


def _violations(lab: Laboratory, states: Sequence[CrashState]) -> list[tuple[CrashState, str]]:
    """Return the states that break a promise, and the violations."""
    broken: list[tuple[CrashState, str]] = []
    rest = list(states)
    while rest:
        outcome = lab.run(_check_each, [(state.tree, state.acknowledged) for state in rest])
        done = len(outcome.reported)
        for state, said in zip(rest, outcome.reported, strict=False):
            if said:
                broken.append((state, said))
        if done < len(rest):  # this state ended the process
            broken.append((rest[done], outcome.failure or "its process ended"))
            done += 1
        rest = rest[done:]
    return broken


def _check_each(
    channel: Channel,
    scenario: Scenario,
    opening: Opening,
    backend: Backend,
    states: Sequence[tuple[Tree, Sequence[str]]],
) -> None:
    """Check one state after another; send the violation of each, or an empty string."""

    async def check_all() -> None:
        for tree, acknowledged in states:
            restore(opening.workspace, tree)
            try:
                await scenario.check(opening, acknowledged)
            except Exception as error:
                channel.report(explained(error))
            else:
                channel.report("")

    anyio.run(check_all, backend=backend)
