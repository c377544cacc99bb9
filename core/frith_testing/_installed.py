"""Test classes for installed providers and plugins, chosen by name."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from frith.config import ManagerConfig
from frith.errors import PluginError
from frith.plugins import Plugins, load_plugins
from frith.providers import Role
from frith_testing._base import Conformance
from frith_testing.lifecycle import LIFECYCLE_HOOKS, LifecyclePluginConformance
from frith_testing.recovery import RecoveryConformance
from frith_testing.spawner import SpawnerConformance
from frith_testing.status import StatusConformance
from frith_testing.store import StoreConformance
from frith_testing.workspace import WorkspaceConformance

SUITES: dict[Role, type[Conformance]] = {
    Role.STORE: StoreConformance,
    Role.WORKSPACE: WorkspaceConformance,
    Role.RECOVERY: RecoveryConformance,
    Role.TERMINAL: SpawnerConformance,
    Role.STATUS: StatusConformance,
}
_LIFECYCLE = "lifecycle"


def suites_for(chosen: Iterable[str]) -> Iterator[type[Conformance]]:
    """Yield a test class for each provider in ``chosen``: ``ROLE:NAME``, or ``all``.

    Raises:
        FrithError: there is no such role, provider or plugin, or it cannot be loaded.
    """
    plugins = load_plugins(ManagerConfig(workspace=Path.cwd()))
    names = list(_all(plugins)) if "all" in chosen else list(dict.fromkeys(chosen))
    for name in names:
        role, _, provider = name.partition(":")
        if role == _LIFECYCLE:
            yield _made(LifecyclePluginConformance, name, plugins.plugin(provider))
        elif role in {known.value for known in SUITES}:
            spec = plugins.choose(Role(role), provider).spec
            yield _made(SUITES[spec.role], name, spec)
        else:
            roles = ", ".join([*(known.value for known in SUITES), _LIFECYCLE])
            raise PluginError(f"{name!r} is not ROLE:NAME with a role of {roles}.")


def _all(plugins: Plugins) -> Iterator[str]:
    yield from (f"{offer.spec.role.value}:{offer.spec.name}" for offer in plugins.offers)
    hooked = {found.plugin for hook in LIFECYCLE_HOOKS for found in plugins.implementations(hook)}
    yield from (f"{_LIFECYCLE}:{plugin}" for plugin in sorted(hooked))


def _made(suite: type[Conformance], name: str, subject: object) -> type[Conformance]:
    """Return a subclass of ``suite`` whose fixture gives ``subject``."""

    def give(self: object) -> object:
        return subject

    fixture = pytest.fixture(name=suite.subject)(give)
    title = "Test_" + re.sub(r"\W", "_", name)
    body = {suite.subject: fixture, "label": name, "__module__": f"{__package__}.test_installed"}
    made: type[Conformance] = types.new_class(title, (suite,), exec_body=lambda ns: ns.update(body))
    return made
