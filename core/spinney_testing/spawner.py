"""What every terminal provider must do: see :class:`spinney.ports.TerminalSpawner`."""

from __future__ import annotations

from spinney_testing._terminal.adopting import AdoptingConformance
from spinney_testing._terminal.ending import EndingConformance
from spinney_testing._terminal.giving_up import GivingUpConformance
from spinney_testing._terminal.input import InputConformance
from spinney_testing._terminal.leftovers import LeftoversConformance
from spinney_testing._terminal.output import OutputConformance
from spinney_testing._terminal.programs import ProgramConformance
from spinney_testing._terminal.recalling import RecallingConformance
from spinney_testing._terminal.starting import StartingConformance
from spinney_testing._terminal.sweeping import SweepingConformance


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
