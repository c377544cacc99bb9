"""Opens the manager that a command works with."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from types import MappingProxyType

from frith import SessionManager
from frith.errors import InvalidWorkspaceError
from frith_cli._app import App
from frith_cli._config import Settings, read_settings
from frith_cli._console import progress
from frith_cli._guard import Guard
from frith_cli._logs import routed_logs
from frith_cli._workspace import find_workspace


def settings_of(app: App, *, anywhere: bool = False) -> Settings:
    """Read the settings of the workspace, once.

    Args:
        app: what the command was given.
        anywhere: whether the current directory serves where there is no repository.

    Raises:
        InvalidWorkspaceError: there is no workspace.
        ConfigurationError: a setting is wrong.
    """
    if app.settings is None:
        try:
            workspace = find_workspace(app.workspace, os.environ)
        except InvalidWorkspaceError:
            if app.workspace or not anywhere:
                raise
            workspace = find_workspace(os.curdir, os.environ)
        app.settings = read_settings(workspace, os.environ, app.flags)
    return app.settings


@asynccontextmanager
async def opened(
    app: App,
    guard: Guard,
    *,
    restore: bool = True,
    plugins: Mapping[str, object] = MappingProxyType({}),
) -> AsyncIterator[SessionManager]:
    """Open the manager of the workspace. A signal ends what is done with it, then it closes.

    Args:
        app: what the command was given.
        guard: waits for signals.
        restore: whether to put in order what dead hosts left; without, nothing is changed.
        plugins: plugin objects of the command's own, by name.
    """
    config = settings_of(app).config
    manager = SessionManager(config, plugins=plugins, restore=restore)
    with routed_logs(config, app.verbosity):
        async with AsyncExitStack() as stack:
            with progress("Opening the workspace") if restore else nullcontext():
                await stack.enter_async_context(manager)
            with guard.within():
                yield manager
