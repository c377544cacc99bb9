"""Every mutant of a provider."""

from __future__ import annotations

from frith_mutants.differences import DIFFERENCES
from frith_mutants.mutant import Mutant
from frith_mutants.queries import QUERIES
from frith_mutants.recoveries import RECOVERIES
from frith_mutants.spawners import SPAWNERS
from frith_mutants.statuses import STATUSES
from frith_mutants.stores import STORES
from frith_mutants.workspaces import WORKSPACES

PROVIDERS: tuple[Mutant, ...] = (
    *STORES,
    *WORKSPACES,
    *DIFFERENCES,
    *RECOVERIES,
    *SPAWNERS,
    *QUERIES,
    *STATUSES,
)
