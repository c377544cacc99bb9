"""Draining the output of a process that has ended."""

from __future__ import annotations

import os
import tty
from collections.abc import Iterator

import pytest

from frith_os.pty.output import Output, Stopped
from frith_os.pty.ring import MappedRing, WrittenRing
from waiting import wait_until

SCROLLBACK = 4096
MUCH = bytes(n % 251 for n in range(64_000))
"""More than is kept and than one reading gives, and than a kernel holds."""


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    for fd in (master, slave):
        os.set_blocking(fd, False)
    yield master, slave
    os.close(slave)


def test_draining_never_announces_to_overwrite_bytes_held_at_the_exit(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = ends
    output = Output(master, os.ttyname(slave), SCROLLBACK, (24, 80), is_shared=True)
    seen = MappedRing(output.ring.fd, output.ring.capacity)
    starts: list[int] = []
    announce = WrittenRing._announce

    def announced(ring: WrittenRing, reach: int) -> None:
        announce(ring, reach)
        starts.append(seen.start)

    monkeypatch.setattr(WrittenRing, "_announce", announced)
    held = output.ring.capacity - SCROLLBACK // 2  # so that what comes goes once around
    sent = 0
    while output.ring.end < held:
        if output.ring.end == sent:  # a busy kernel delivers later
            sent += os.write(slave, MUCH[: held - sent])
        output.read(len(MUCH))
    output.hold(held)
    written = MUCH[: os.write(slave, MUCH)]
    wait_until(lambda: output.read(len(MUCH)) is Stopped.NOT_READABLE)
    assert output.ring.end == held + SCROLLBACK, "it waits"
    starts.clear()
    output.process_ended()
    wait_until(lambda: output.read(len(MUCH)) and output.ring.end == held + len(written))
    assert len(starts) >= 4, "it took two readings, each announced before and after"
    assert max(starts) <= held
    assert seen.read(held, len(written)) == written

    def is_drained() -> bool:
        output.settle()
        return output.is_drained

    wait_until(is_drained)
