"""The suite for terminal providers: see :class:`frith.ports.TerminalSpawner`."""

from __future__ import annotations

from frith_testing.suites.terminal.adoption import AdoptingConformance
from frith_testing.suites.terminal.cancellation import GivingUpConformance
from frith_testing.suites.terminal.event_loop import ProgramConformance
from frith_testing.suites.terminal.input import InputConformance
from frith_testing.suites.terminal.leftovers import LeftoversConformance
from frith_testing.suites.terminal.output import OutputConformance
from frith_testing.suites.terminal.recall import RecallingConformance
from frith_testing.suites.terminal.start import StartingConformance
from frith_testing.suites.terminal.sweep import SweepingConformance
from frith_testing.suites.terminal.termination import EndingConformance


class SpawnerConformance(
    StartingConformance,
    InputConformance,
    OutputConformance,
    EndingConformance,
    GivingUpConformance,
    SweepingConformance,
    AdoptingConformance,
    RecallingConformance,
    LeftoversConformance,
    ProgramConformance,
    suite="terminal",
):
    """Tests of a terminal provider. Define the fixture ``provider``.

    The processes are POSIX shells in the workspace. What they do is read from ``/proc``, not from
    the provider, or from files that they write.
    """
