"""Every mutant of a provider."""

from __future__ import annotations

from spinney_mutants.mutant import Mutant
from spinney_mutants.recoveries import RECOVERIES
from spinney_mutants.spawners import SPAWNERS
from spinney_mutants.statuses import STATUSES
from spinney_mutants.stores import STORES
from spinney_mutants.workspaces import WORKSPACES

PROVIDERS: tuple[Mutant, ...] = (*STORES, *WORKSPACES, *RECOVERIES, *SPAWNERS, *STATUSES)
