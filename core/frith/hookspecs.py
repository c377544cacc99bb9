"""Every hook, one annotated function each, and the markers to declare and implement them.

A plugin is a module or object found through the entry-point group ``frith.plugins``. It
implements any of these functions, marked with :data:`hookimpl`. Lifecycle hooks are coroutine
functions and are awaited one by one: plugins in the order of their names, the host's own last.
Each has a bounded time; one that raises or hangs is logged with its plugin's name and goes no
further, and one that does not end when it is cancelled is abandoned. Only the two marked *may veto*
may raise :class:`~frith.errors.SessionVetoed`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from frith.config import ManagerConfig
    from frith.events import (
        ProcessExited,
        SessionChangedElsewhere,
        SessionCreated,
        SessionCreating,
        SessionCreationFailed,
        SessionDestroyed,
        SessionDestroying,
        SessionLost,
        SessionsRecovered,
        SessionsRestored,
        SessionStatusChanged,
        SessionStuck,
        SessionUpdated,
        SessionWaiting,
        StoreCorrupted,
    )
    from frith.providers import ProviderSpec

ENTRY_POINT_GROUP = "frith.plugins"
"""The one entry-point group through which every plugin is found, the built-in ones included."""

PROJECT = "frith"
"""Project name of the pluggy markers; every hook's name starts with it."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks an implementation of a hook: ``@hookimpl``, without options."""

VETO_HOOKS = frozenset({"frith_session_creating", "frith_session_destroying"})
"""The hooks that may raise :class:`~frith.errors.SessionVetoed`."""


@hookspec
def frith_providers() -> Iterable[ProviderSpec]:  # type: ignore[empty-body]
    """Return the providers that this plugin offers. Pure and quick: imports no machinery."""


@hookspec
def frith_configure(config: ManagerConfig) -> None:
    """Take this plugin's own options: ``config.plugin_options(name, Model)``.

    Called once when a manager opens, before any provider is.

    Raises:
        ConfigurationError: an option is wrong; the manager does not open.
    """


@hookspec
async def frith_session_creating(event: SessionCreating) -> None:
    """Before a session is created. *May veto.*"""


@hookspec
async def frith_session_created(event: SessionCreated) -> None:
    """After a session was created and is durable."""


@hookspec
async def frith_session_creation_failed(event: SessionCreationFailed) -> None:
    """After a creation failed or was cancelled, and was undone."""


@hookspec
async def frith_session_status_changed(event: SessionStatusChanged) -> None:
    """After this process changed the status of a session."""


@hookspec
async def frith_session_updated(event: SessionUpdated) -> None:
    """After this process changed the name, phase, metadata or last activity of a session.

    Output changes the last activity; that is told once a second at most.
    """


@hookspec
async def frith_session_waiting(event: SessionWaiting) -> None:
    """When a session whose process runs here begins to wait for the user, or asks anew."""


@hookspec
async def frith_session_stuck(event: SessionStuck) -> None:
    """When the process of a session has been silent for very long; again as long as it is."""


@hookspec
async def frith_session_changed_elsewhere(event: SessionChangedElsewhere) -> None:
    """After another process created, changed or destroyed a session."""


@hookspec
async def frith_session_lost(event: SessionLost) -> None:
    """After the store has ended this manager's claim on a session; its process runs on."""


@hookspec
async def frith_session_destroying(event: SessionDestroying) -> None:
    """Before a session is destroyed. *May veto.*"""


@hookspec
async def frith_session_destroyed(event: SessionDestroyed) -> None:
    """After a session was destroyed."""


@hookspec
async def frith_sessions_restored(event: SessionsRestored) -> None:
    """After the sessions were loaded at start."""


@hookspec
async def frith_store_corrupted(event: StoreCorrupted) -> None:
    """When the stored state was found corrupt, damaged or edited, before recovery."""


@hookspec
async def frith_sessions_recovered(event: SessionsRecovered) -> None:
    """After the state was rebuilt from what recovery remembers."""


@hookspec
async def frith_process_exited(event: ProcessExited) -> None:
    """After the process of a session ended and its output was drained."""
