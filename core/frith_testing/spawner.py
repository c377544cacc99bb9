"""The suite for terminal providers: see :class:`frith.ports.TerminalSpawner`."""

from __future__ import annotations

from frith_testing.suites.terminal.adoption import AdoptionConformance
from frith_testing.suites.terminal.cancellation import CancellationConformance
from frith_testing.suites.terminal.event_loop import EventLoopConformance
from frith_testing.suites.terminal.input import InputConformance
from frith_testing.suites.terminal.leftovers import LeftoversConformance
from frith_testing.suites.terminal.output import OutputConformance
from frith_testing.suites.terminal.queries import QueriesConformance
from frith_testing.suites.terminal.recall import RecallConformance
from frith_testing.suites.terminal.start import StartConformance
from frith_testing.suites.terminal.sweep import SweepConformance
from frith_testing.suites.terminal.termination import TerminationConformance


class SpawnerConformance(
    StartConformance,
    InputConformance,
    OutputConformance,
    QueriesConformance,
    TerminationConformance,
    CancellationConformance,
    SweepConformance,
    AdoptionConformance,
    RecallConformance,
    LeftoversConformance,
    EventLoopConformance,
    suite="terminal",
):
    """Tests of a terminal provider. Define the fixture ``provider``.

    The processes are POSIX shells in the workspace. What they do is read from ``/proc``, not from
    the provider, or from files that they write.
    """
