"""What a keeper reads when its process has ended, and nobody is waited for any more."""

from __future__ import annotations

import os
import tty

import pytest

from frith_keeper.keeper.loop import Loop
from frith_keeper.keeper.output import Output
from frith_keeper.keeper.ring import MappedRing

SCROLLBACK = 4096
MUCH = bytes(n % 251 for n in range(64_000))
"""More than is kept and than one reading gives, and than a kernel holds."""


@pytest.fixture
def ends():
    master, slave = os.openpty()
    tty.setraw(slave)
    for fd in (master, slave):
        os.set_blocking(fd, False)
    yield master, slave
    os.close(slave)


def test_at_no_moment_it_claims_to_overwrite_what_was_held_at_the_exit(ends):
    master, slave = ends
    output = Output(master, os.ttyname(slave), Loop(), SCROLLBACK, (24, 80))
    seen = MappedRing(output.readable_ring, output.ring.capacity)
    starts = []
    told = output.ring._tell

    def tell(reach):
        told(reach)
        starts.append(seen.start)

    output.ring._tell = tell
    held = output.ring.capacity - SCROLLBACK // 2  # so that what comes goes once around
    while (more := held - output.ring.end) > 0:
        os.write(slave, MUCH[:more])
        output.look()
    output.hold(held)
    written = MUCH[: os.write(slave, MUCH)]
    output.look()
    assert output.ring.end == held + SCROLLBACK, "it waits"
    starts.clear()
    output.begin_to_drain()
    assert output.ring.end == held + len(written)
    assert len(starts) > 4, "it took several readings"
    assert max(starts) <= held
    assert seen.read(held, len(written)) == written
    output.settle(output.drained_at)
    assert output.is_drained
