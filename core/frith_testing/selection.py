"""Test classes for installed providers and plugins, chosen by name."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from frith.config import ManagerConfig
from frith.errors import PluginError
from frith.plugins import Plugins, load_plugins
from frith.providers import ProviderSpec, Role
from frith_testing.harness.base import Conformance
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


def suites_for(chosen: Iterable[str], options: Iterable[str] = ()) -> Iterator[type[Conformance]]:
    """Yield a test class for each provider in ``chosen``.

    Args:
        chosen: ``ROLE:NAME`` each, or ``all``.
        options: ``ROLE:NAME=JSON`` each, for providers that their defaults do not suffice for.

    Raises:
        FrithError: a role, provider or plugin does not exist or cannot be loaded, or options are
            not valid.
    """
    plugins = load_plugins(ManagerConfig(workspace=Path.cwd()))
    names = list(_all(plugins)) if "all" in chosen else list(dict.fromkeys(chosen))
    given = dict(map(_parsed, options))
    for name in given.keys() - set(names):
        raise PluginError(f"--frith-options: {name!r} is not tested; add --frith-provider {name}.")
    for name in names:
        role, _, provider = name.partition(":")
        if role == _LIFECYCLE:
            yield _of_plugin(name, plugins.plugin(provider), given.get(name))
        elif role in {known.value for known in SUITES}:
            yield _of_provider(name, plugins.choose(Role(role), provider).spec, given.get(name))
        else:
            roles = ", ".join([*(known.value for known in SUITES), _LIFECYCLE])
            raise PluginError(f"{name!r} is not ROLE:NAME with a role of {roles}.")


def _all(plugins: Plugins) -> Iterator[str]:
    yield from (f"{offer.spec.role.value}:{offer.spec.name}" for offer in plugins.offers)
    hooks = (*LIFECYCLE_HOOKS, "frith_configure")  # which may return an object with such hooks
    hooked = {found.plugin for hook in hooks for found in plugins.implementations(hook)}
    yield from (f"{_LIFECYCLE}:{plugin}" for plugin in sorted(hooked))


def _parsed(text: str) -> tuple[str, dict[str, Any]]:
    """Return the parts of ``ROLE:NAME=JSON``."""
    name, _, value = text.partition("=")
    try:
        return name, dict(json.loads(value))
    except (TypeError, ValueError):
        raise PluginError(
            f"--frith-options: {text!r} is not ROLE:NAME=JSON with a JSON object."
        ) from None


def _of_provider(
    name: str, spec: ProviderSpec, options: Mapping[str, Any] | None
) -> type[Conformance]:
    fixtures: dict[str, Callable[..., object]] = {"provider": lambda self: spec}
    if options is not None:
        given = {spec.role.value: {spec.name: options}}
        config = ManagerConfig(workspace=Path.cwd(), options=given)
        checked = config.section(spec.role, spec.name, spec.config)
        fixtures["options"] = lambda self: checked
    return _made(SUITES[spec.role], name, fixtures)


def _of_plugin(name: str, plugin: object, options: Mapping[str, Any] | None) -> type[Conformance]:
    fixtures: dict[str, Callable[..., object]] = {"plugin": lambda self: plugin}
    if options is not None:
        given = {"plugin": {name.partition(":")[2]: options}}
        fixtures["config"] = lambda self, tmp_path: ManagerConfig(workspace=tmp_path, options=given)
    return _made(LifecyclePluginConformance, name, fixtures)


def _made(
    suite: type[Conformance], name: str, fixtures: Mapping[str, Callable[..., object]]
) -> type[Conformance]:
    """Return a subclass of ``suite`` with ``fixtures``."""
    body: dict[str, object] = {"label": name, "__module__": f"{__package__}.test_installed"}
    for fixture, give in fixtures.items():
        body[fixture] = pytest.fixture(name=fixture)(give)
    title = "Test_" + re.sub(r"\W", "_", name)
    made: type[Conformance] = types.new_class(title, (suite,), exec_body=lambda ns: ns.update(body))
    return made
