"""Every hook, one annotated function each, and the markers to declare and implement them.

A plugin is a module or object found through the entry-point group ``frith.plugins``. It
implements any of these functions, marked with :data:`hookimpl`. Lifecycle hooks are coroutine
functions and are awaited one by one: plugins in the order of their names, the host's own last.
Each has a bounded time. A hook that raises or takes too long is logged with the name of its plugin,
and one that does not end when it is cancelled is abandoned; the operation goes on. Only the two
marked *may veto* may raise :class:`~frith.errors.SessionVetoed`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from frith import events
    from frith.config import ManagerConfig
    from frith.providers import ProviderSpec

ENTRY_POINT_GROUP = "frith.plugins"
"""The entry-point group of every plugin, the built-in ones included."""

PROJECT = "frith"
"""Project name of the pluggy markers; every hook's name starts with it."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks an implementation of a hook: ``@hookimpl``, without options."""

VETO_HOOKS = frozenset({"frith_session_creating", "frith_session_destroying"})
"""The hooks that may raise :class:`~frith.errors.SessionVetoed`."""


@hookspec
def frith_providers() -> Iterable[ProviderSpec]:  # type: ignore[empty-body]
    """Return the providers that this plugin offers, without importing their machinery."""


@hookspec
def frith_configure(config: ManagerConfig) -> object:
    """Read the options of this plugin: ``config.plugin_options(name, Model)``.

    Called once when a manager opens, before any provider is opened. A module serves all managers of
    the process, each with options of its own: keep nothing of ``config`` in the module.

    Returns an object that implements lifecycle hooks or :func:`frith_logger` for this manager, in
    addition to those of the plugin, which are called first; or ``None``. It may be a context
    manager, which is entered at once and exited when the manager has closed, and whose result is
    the object: so a plugin releases what it holds for the manager.

    Raises:
        ConfigurationError: an option is wrong; the manager does not open.
    """


@hookspec
def frith_logger() -> logging.Logger | None:
    """Return the logger for all lines of this manager; ``None`` for the host's.

    Called once, after all plugins were configured; the first logger is used. It gets what the
    manager, its providers and hooks log with :data:`frith.logs.log`, a JSON object each, instead of
    the host's structlog or the logger ``frith``. Make it by ``logging.Logger("frith")``, so that it
    belongs to no hierarchy of the process.
    """


@hookspec
async def frith_session_creating(event: events.SessionCreating) -> None:
    """Before a session is created. *May veto.*"""


@hookspec
async def frith_session_created(event: events.SessionCreated) -> None:
    """After a session was created and is durable."""


@hookspec
async def frith_session_creation_failed(event: events.SessionCreationFailed) -> None:
    """After a creation failed or was cancelled, and was undone."""


@hookspec
async def frith_session_status_changed(event: events.SessionStatusChanged) -> None:
    """After this process changed the status of a session."""


@hookspec
async def frith_session_updated(event: events.SessionUpdated) -> None:
    """After this process changed the name, phase, metadata or last activity of a session.

    Output changes the last activity; the hook is called for that at most once a second.
    """


@hookspec
async def frith_session_waiting(event: events.SessionWaiting) -> None:
    """When a session whose process runs here begins to wait for the user, or asks anew."""


@hookspec
async def frith_session_stuck(event: events.SessionStuck) -> None:
    """When the process of a session has been silent for long; repeated while it is."""


@hookspec
async def frith_session_changed_elsewhere(event: events.SessionChangedElsewhere) -> None:
    """After another process created, changed or destroyed a session."""


@hookspec
async def frith_session_lost(event: events.SessionLost) -> None:
    """After this manager has lost the claim on a session, whose process continues."""


@hookspec
async def frith_session_destroying(event: events.SessionDestroying) -> None:
    """Before a session is destroyed. *May veto.*"""


@hookspec
async def frith_session_destroyed(event: events.SessionDestroyed) -> None:
    """After a session was destroyed."""


@hookspec
async def frith_sessions_restored(event: events.SessionsRestored) -> None:
    """After the sessions were loaded at start."""


@hookspec
async def frith_store_corrupted(event: events.StoreCorrupted) -> None:
    """When the stored state is corrupt or was edited, before recovery."""


@hookspec
async def frith_sessions_recovered(event: events.SessionsRecovered) -> None:
    """After the state was rebuilt from the markers."""


@hookspec
async def frith_process_exited(event: events.ProcessExited) -> None:
    """After the process of a session ended and its output was drained."""
