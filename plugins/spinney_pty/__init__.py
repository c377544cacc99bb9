"""Terminal `pty`: each process in a pseudo-terminal of this host, which ends with the host."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from spinney.hookspecs import hookimpl
from spinney.ports import TerminalSpawner
from spinney.providers import ProviderContext, ProviderSpec, Role
from spinney_pty.options import PtyOptions


def _open(
    options: PtyOptions, context: ProviderContext
) -> AbstractAsyncContextManager[TerminalSpawner]:
    from spinney_pty._spawner import open_spawner

    return open_spawner(options, str(context.workspace))


@hookimpl
def spinney_providers() -> Iterable[ProviderSpec]:
    """Offer the terminal provider `pty`."""
    return [ProviderSpec(Role.TERMINAL, "pty", _open, PtyOptions)]
