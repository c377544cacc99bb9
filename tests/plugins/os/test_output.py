"""What a keeper reads when its process has ended, and nobody is waited for any more."""

from __future__ import annotations

import os
import tty

import pytest

from frith_os.pty.output import Output, Stopped
from frith_os.pty.ring import MappedRing
from waiting import wait_until

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
    output = Output(master, os.ttyname(slave), SCROLLBACK, (24, 80), is_shared=True)
    seen = MappedRing(output.ring.fd, output.ring.capacity)
    starts = []
    told = output.ring._announce

    def tell(reach):
        told(reach)
        starts.append(seen.start)

    output.ring._announce = tell
    held = output.ring.capacity - SCROLLBACK // 2  # so that what comes goes once around
    while (more := held - output.ring.end) > 0:
        os.write(slave, MUCH[:more])
        output.read(len(MUCH))
    output.hold(held)
    written = MUCH[: os.write(slave, MUCH)]
    output.read(len(MUCH))
    assert output.ring.end == held + SCROLLBACK, "it waits"
    starts.clear()
    output.process_ended()
    while output.read(len(MUCH)) is not Stopped.EMPTY:
        pass
    assert output.ring.end == held + len(written)
    assert len(starts) > 4, "it took several readings"
    assert max(starts) <= held
    assert seen.read(held, len(written)) == written
    wait_until(lambda: output.settle() or output.is_drained)
