"""Terminal `pty`: each process in a pseudo-terminal of this host, which ends with the host."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from frith.hookspecs import hookimpl
from frith.ports import TerminalSpawner
from frith.providers import Capability, ProviderContext, ProviderSpec, Role
from frith_terminals.options import TerminalOptions


def _open(
    options: TerminalOptions, context: ProviderContext
) -> AbstractAsyncContextManager[TerminalSpawner]:
    from frith_pty.spawner import open_spawner

    return open_spawner(options, str(context.workspace), context.limiter)


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    """Offer the terminal provider `pty`."""
    can = frozenset({Capability.QUERIES})
    return [ProviderSpec(Role.TERMINAL, "pty", _open, TerminalOptions, can)]
