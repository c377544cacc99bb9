"""Every truncation, every flipped bit and some appended bytes, in every file of a provider.

A file matters if the preparation made or changed it, and if the provider notices that all its bits
are inverted. The content of any other file, such as a lock, means nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import anyio

from frith_testing.faults.findings import Report, Violation
from frith_testing.faults.fork_server import Channel, ForkServer, explained
from frith_testing.faults.laboratory import TIMEOUT, Backend, Laboratory, laboratory
from frith_testing.faults.scenario import Scenario, ViolationError
from frith_testing.faults.tree import Tree, changed
from frith_testing.harness.opening import Opening

_ADDED = (b"\0", b"\n", b" ", b"}", b"\xff" * 16)
_BATCH = 2000
"""Damages that are checked in one process."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One way in which a file can be damaged."""

    kind: str
    """``truncated``, ``flipped`` or ``added``."""
    position: int
    """The new size; the number of the bit; the number of what was added."""

    def of(self, content: bytes) -> bytes:
        """Return ``content`` with this damage."""
        match self.kind:
            case "truncated":
                return content[: self.position]
            case "flipped":
                damaged = bytearray(content)
                damaged[self.position // 8] ^= 1 << self.position % 8
                return bytes(damaged)
            case _:
                return content + _ADDED[self.position]


def damages(content: bytes) -> Iterator[Damage]:
    """Yield every damage to ``content``."""
    kinds = {"truncated": len(content), "flipped": 8 * len(content), "added": len(_ADDED)}
    for kind, size in kinds.items():
        yield from (Damage(kind, position) for position in range(size))


def with_every_damage(
    scenario: Scenario,
    opening: Opening,
    *,
    sample: int | None = None,
    backend: Backend = "asyncio",
    timeout: float = TIMEOUT,
    server: ForkServer | None = None,
) -> Report:
    """Damage each file that ``scenario`` has prepared in each way, and run its check.

    Args:
        scenario: its ``check`` decides whether damage is handled correctly; ``work`` is not called.
        opening: the provider, on a workspace that nothing else uses meanwhile.
        sample: how many damages of each file to try, evenly spread; by default all.
        backend: the event loop of the checks.
        timeout: seconds after which a check counts as hanging, which is a violation.
        server: forks the runs; by default a new one.

    Raises:
        ViolationError: no file matters.
        RuntimeError: runs cannot be forked: see :func:`.shim.unavailable`.
    """
    tried: Counter[str] = Counter()
    violations: list[Violation] = []
    left_out = 0
    with laboratory(scenario, opening, backend, timeout, server) as lab:
        files = changed(lab.original, lab.prepared)
        inverted = [(path, bytes(255 - byte for byte in files[path])) for path in files]
        outcomes = _violations(lab, inverted)
        paths = [path for (path, _), said in zip(inverted, outcomes, strict=True) if not said]
        if not paths:
            raise ViolationError("no damage to any file is noticed")
        for path in paths:
            every = list(damages(files[path]))
            chosen = every if sample is None else every[:: max(1, len(every) // sample)]
            left_out += len(every) - len(chosen)
            for start in range(0, len(chosen), _BATCH):
                batch = chosen[start : start + _BATCH]
                said = _violations(lab, [(path, damage.of(files[path])) for damage in batch])
                for damage, broken in zip(batch, said, strict=True):
                    tried[damage.kind] += 1
                    if broken:
                        what = f"{damage.kind} {damage.position}"
                        violations.append(Violation(path, what, broken))
    return Report("damages", tried, tuple(violations), left_out)


def _violations(lab: Laboratory, contents: Sequence[tuple[str, bytes]]) -> list[str]:
    """Return the violation for each file and its content, an empty string if there is none."""
    said: list[str] = []
    while len(said) < len(contents):
        lab.reset()
        rest = contents[len(said) :]
        outcome = lab.run(_check_each, lab.prepared, rest)
        said += outcome.reported
        if len(outcome.reported) < len(rest):  # this one ended the process
            said.append(outcome.failure or "its process ended")
    return said


def _check_each(
    channel: Channel,
    scenario: Scenario,
    opening: Opening,
    backend: Backend,
    tree: Tree,
    contents: Sequence[tuple[str, bytes]],
) -> None:
    """Check one damage after another; send the violation of each, or an empty string."""

    async def check_all() -> None:
        for path, content in contents:
            file = opening.workspace / path
            file.write_bytes(content)
            try:
                await scenario.check(opening, ())
            except Exception as error:
                channel.report(explained(error))
            else:
                channel.report("")
            file.write_bytes(tree[path].content)

    anyio.run(check_all, backend=backend)
