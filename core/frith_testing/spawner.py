"""What every terminal provider must do: see :class:`frith.ports.TerminalSpawner`."""

from __future__ import annotations

from frith_testing._terminal.adopting import AdoptingConformance
from frith_testing._terminal.ending import EndingConformance
from frith_testing._terminal.giving_up import GivingUpConformance
from frith_testing._terminal.input import InputConformance
from frith_testing._terminal.leftovers import LeftoversConformance
from frith_testing._terminal.output import OutputConformance
from frith_testing._terminal.programs import ProgramConformance
from frith_testing._terminal.recalling import RecallingConformance
from frith_testing._terminal.starting import StartingConformance
from frith_testing._terminal.sweeping import SweepingConformance


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

    The processes are POSIX shells that run where the workspace is. What became of them is looked
    up in ``/proc``, past the provider, or in files that they write.
    """
