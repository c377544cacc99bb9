"""A fault at every system call of a scenario's work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count

from frith_testing.faults.findings import Report, Violation
from frith_testing.faults.fork_server import ForkServer, Outcome
from frith_testing.faults.laboratory import TIMEOUT, Backend, Laboratory, laboratory
from frith_testing.faults.scenario import Scenario, ViolationError
from frith_testing.faults.shim import Fault
from frith_testing.harness.opening import Opening

_DIVISIBLE = ("read", "write")
_ROUNDS = 3
"""How often the same fault may leave more files than before."""


def at_every_system_call(
    scenario: Scenario,
    opening: Opening,
    *,
    kinds: Sequence[Fault] = tuple(Fault),
    backend: Backend = "asyncio",
    timeout: float = TIMEOUT,
    server: ForkServer | None = None,
) -> Report:
    """Do the work of ``scenario`` with a fault at each of its system calls, and check each time.

    Calls on files beneath the workspace are counted; ``shim.c`` lists them. A fault that no call
    met is not counted: one byte cannot be transferred by half, and a later run of threads that race
    may have fewer calls.

    Args:
        scenario: the work and its check.
        opening: the provider, on a workspace that nothing else uses meanwhile.
        kinds: the faults.
        backend: the event loop of the work.
        timeout: seconds after which a run counts as hanging, which is a violation.
        server: forks the runs; by default a new one.

    Raises:
        ViolationError: the work fails without a fault.
        RuntimeError: system calls cannot be intercepted: see :func:`.shim.unavailable`.
    """
    tried: Counter[str] = Counter()
    violations: list[Violation] = []
    with laboratory(scenario, opening, backend, timeout, server) as lab:
        calls, undisturbed = lab.record()
        _require(undisturbed, "the work fails without a fault")
        _require(lab.check(undisturbed.reported), "the check fails without a fault")
        usual = lab.count_files()
        operations = [call.op for call in calls if call.op != "mark"]
        for kind in kinds:
            for number in count():
                known = number < len(operations)
                if kind is Fault.SHORT and known and operations[number] not in _DIVISIBLE:
                    continue
                lab.reset()
                outcome = lab.work(number, kind)
                if outcome.hit is not None:
                    tried[kind] += 1
                    where = f"call {number}, {outcome.hit}"
                    if broken := _violation(lab, number, kind, outcome, usual):
                        violations.append(Violation(where, kind, broken))
                elif not known:
                    break
    return Report("points", tried, tuple(violations))


def _violation(
    lab: Laboratory, number: int, kind: Fault, outcome: Outcome, usual: int
) -> str | None:
    """Return the violation, ``None`` if there is none."""
    if not (kind.kills and not outcome.timed_out) and outcome.failure is not None:
        return f"during the work: {outcome.failure}"
    left = lab.check(outcome.reported)
    if left.failure is not None:
        return f"afterwards: {left.failure}"
    counts = [usual, lab.count_files()]
    while counts[-2] < counts[-1]:  # one file may be left behind, but not one more each time
        if len(counts) > _ROUNDS:
            return f"files pile up: {counts} after the same fault several times"
        lab.check(lab.work(number, kind).reported)
        counts.append(lab.count_files())
    return None


def _require(outcome: Outcome, what: str) -> None:
    if outcome.failure is not None:
        raise ViolationError(f"{what}: {outcome.failure}")
