"""Terminal `keeper`: each process in a terminal that outlives its host; the next one adopts it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from frith.hookspecs import hookimpl
from frith.ports import TerminalSpawner
from frith.providers import Capability, ProviderContext, ProviderSpec, Role
from frith_keeper.options import KeeperOptions


def _open(
    options: KeeperOptions, context: ProviderContext
) -> AbstractAsyncContextManager[TerminalSpawner]:
    from frith_keeper.spawner import open_spawner

    return open_spawner(options, context.workspace, context.limiter)


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    """Offer the terminal provider `keeper`."""
    can = frozenset({Capability.ADOPT, Capability.RECALL, Capability.QUERIES})
    return [ProviderSpec(Role.TERMINAL, "keeper", _open, KeeperOptions, can)]
