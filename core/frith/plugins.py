"""Finding, blocking, loading and checking plugins; a broken one is recorded and never fatal.

The loop and the checks here replace pluggy's, which ignores unmarked implementations, accepts
wrappers and skips duplicate entry-point names silently.
"""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from typing import Any

import pluggy

from frith import hookspecs
from frith._failures import described, is_interrupt
from frith.config import ManagerConfig
from frith.errors import (
    ConfigurationError,
    DuplicateProviderError,
    FrithError,
    PluginError,
    ProviderNotFoundError,
    nearest,
)
from frith.logs import log
from frith.providers import ProviderSpec, Role

HOOKS: Mapping[str, Callable[..., Any]] = {
    name: function
    for name, function in vars(hookspecs).items()
    if name.startswith("frith_") and inspect.isfunction(function)
}
"""The specification of every hook, by name."""

_HOST = "host"
_CONFIGURED = " (configured)"
"""Follows the plugin's name in that of the object that its ``frith_configure`` has returned."""


class PluginState(StrEnum):
    """The state of a plugin."""

    LOADED = "loaded"
    BLOCKED = "blocked"
    """The configuration blocks it; it was not imported."""
    FAILED = "failed"
    """It could not be imported or is not a valid plugin."""


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """One plugin: where it came from, and its state."""

    name: str
    distribution: str
    version: str
    state: PluginState
    reason: str = ""
    """The reason for which it is blocked or failed."""
    providers: tuple[str, ...] = ()
    """The providers that it offers, as ``role:name``."""


class InvalidPluginError(PluginError):
    """A plugin implements a hook in a wrong way."""

    code = "INVALID_PLUGIN"


@dataclass(frozen=True, slots=True)
class HookImplementation:
    """One plugin's implementation of one hook."""

    plugin: str
    call: Callable[..., Any]
    """Takes the hook's argument, also if the implementation declares none."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider, and the plugin that offers it."""

    spec: ProviderSpec
    plugin: str
    """Name of the plugin."""
    distribution: str
    """Distribution that the plugin came with."""


class Plugins:
    """The loaded plugins: their records, providers and hook implementations."""

    def __init__(self, blocked: Iterable[str] = ()) -> None:
        self._blocked = frozenset(blocked)
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._offers: dict[str, list[Offer]] = {}
        """The providers of each loaded plugin, in the order in which plugins are called."""
        self.records: list[PluginRecord] = []
        self.logger: logging.Logger | None = None
        """The logger of the manager's own; ``None`` for the host's."""
        self._exits: list[tuple[str, AbstractContextManager[object]]] = []
        """What plugins hold for the manager, each with the plugin."""

    @property
    def offers(self) -> list[Offer]:
        """The providers of all loaded plugins."""
        return list(chain.from_iterable(self._offers.values()))

    def discover(self) -> None:
        """Load every installed plugin that is not blocked, in the order of their names.

        Raises:
            PluginError: the installed distributions cannot be read.
        """
        try:
            installed = entry_points(group=hookspecs.ENTRY_POINT_GROUP)
        except OSError as error:
            what = f"The installed plugins cannot be listed: {error}. Fix that, then try again."
            raise PluginError(what) from error
        found = sorted(
            installed, key=lambda entry: (entry.name, entry.dist.name if entry.dist else "")
        )
        times = Counter(entry.name for entry in found)
        for entry in found:
            distribution = entry.dist.name if entry.dist else "unknown"
            version = entry.dist.version if entry.dist else ""
            label = f"{entry.name} ({distribution})" if times[entry.name] > 1 else entry.name
            state, reason = PluginState.LOADED, ""
            offered: tuple[str, ...] = ()
            if entry.name in self._blocked:
                state, reason = PluginState.BLOCKED, "blocked"
            else:
                try:
                    offered = self._register(_import(entry), label, entry.name, distribution)
                except PluginError as error:
                    state, reason = PluginState.FAILED, str(error)
            self.records.append(
                PluginRecord(entry.name, distribution, version, state, reason, offered)
            )

    def add(self, name: str, plugin: object) -> None:
        """Add a plugin object of the host; its hooks are called after all others.

        Raises:
            PluginError: it is not a valid plugin.
        """
        offered = self._register(plugin, name, name, _HOST)
        record = PluginRecord(name, _HOST, "", PluginState.LOADED, providers=offered)
        self.records.append(record)

    def configure(self, config: ManagerConfig) -> None:
        """Have every plugin read its options; one that fails in it is recorded as failed.

        Raises:
            ConfigurationError: a plugin refuses its options.
            FrithError: any other error of frith that a plugin raises.
        """
        try:
            for configure in self.implementations("frith_configure"):
                with self._recording_failure(configure.plugin, "frith_configure"):
                    self._keep(configure.plugin, configure.call(config))
            for logger in self.implementations("frith_logger"):
                with self._recording_failure(logger.plugin, "frith_logger"):
                    self.logger = self.logger or _checked_logger(logger.call())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Exit what plugins hold for the manager; a failure is logged with the plugin."""
        while self._exits:
            plugin, held = self._exits.pop()
            try:
                held.__exit__(None, None, None)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                log.error("plugin_not_closed", plugin=plugin, reason=described(error))

    def check_sections(self, config: ManagerConfig) -> None:
        """Check that each section of the options is that of a plugin or provider.

        Raises:
            ConfigurationError: there is no such plugin or provider.
        """
        known = [record.name for record in self.records]
        for name in config.options.get("plugin", {}):
            if name not in known:
                raise ConfigurationError(f"options.plugin.{name}", "no such plugin", known=known)
        for kind, named in config.options.items():
            if kind != "plugin":
                self._check_section(kind, named)

    def implementations(self, hook: str) -> list[HookImplementation]:
        """Return the implementations of ``hook`` in the order in which they are called."""
        found = {
            each.plugin_name: each for each in getattr(self._manager.hook, hook).get_hookimpls()
        }
        return [
            HookImplementation(label, _adapted(found[name].function, bool(found[name].argnames)))
            for label in self._offers
            for name in (label, label + _CONFIGURED)
            if name in found
        ]

    def plugin(self, name: str) -> object:
        """Return the loaded plugin called ``name``.

        Raises:
            PluginError: there is none.
        """
        found: object = self._manager.get_plugin(name)
        if found is None:
            reasons = [record.reason for record in self.records if record.name == name]
            raise PluginError(f"Plugin {name!r} is not loaded: {'; '.join(reasons) or 'unknown'}.")
        return found

    def choose(self, role: Role, name: str) -> Offer:
        """Return the offer of ``role`` called ``name``.

        Raises:
            ProviderNotFoundError: no loaded plugin offers it; the message names those that
                failed to load.
            DuplicateProviderError: several do.
        """
        in_role = [offer for offer in self.offers if offer.spec.role == role]
        named = [offer for offer in in_role if offer.spec.name == name]
        if len(named) > 1:
            offering = [f"{offer.distribution} ({offer.plugin})" for offer in named]
            raise DuplicateProviderError(role, name, offering)
        if named:
            return named[0]
        not_loaded = "; ".join(
            f"plugin {record.name!r} is {record.state}"
            + (f": {record.reason}" if record.state is PluginState.FAILED else "")
            for record in self.records
            if record.state is not PluginState.LOADED
        )
        raise ProviderNotFoundError(role, name, [o.spec.name for o in in_role], not_loaded)

    def _check_section(self, kind: str, named: Mapping[str, Mapping[str, Any]]) -> None:
        if kind not in list(Role):
            raise ConfigurationError(f"options.{kind}", "unknown key", known=[*Role, "plugin"])
        names = [offer.spec.name for offer in self.offers if offer.spec.role == kind]
        absent = [record.name for record in self.records if record.state is not PluginState.LOADED]
        for name in named:
            if name not in (*names, *absent):
                raise ConfigurationError(
                    f"options.{kind}.{name}", f"there is no such {kind} provider", known=names
                )

    def _register(
        self, plugin: object, label: str, name: str, distribution: str
    ) -> tuple[str, ...]:
        try:
            check_plugin(plugin)
            offers = [Offer(spec, name, distribution) for spec in _provider_specs(plugin)]
            self._manager.register(plugin, label)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise InvalidPluginError(str(error)) from error
        except BaseException as error:  # an attribute may be computed by the plugin's own code
            if is_interrupt(error) or isinstance(error, PluginError):
                raise
            raise InvalidPluginError(f"it cannot be inspected: {described(error)}") from error
        self._offers[label] = offers
        return tuple(f"{offer.spec.role}:{offer.spec.name}" for offer in offers)

    def _keep(self, label: str, returned: object) -> None:
        """Register what ``frith_configure`` of a plugin has returned."""
        if isinstance(returned, AbstractContextManager):
            entered = returned.__enter__()
            self._exits.append((label, returned))
            returned = entered
        if returned is None:
            return
        check_plugin(returned)
        hooks = HOOKS.keys() & set(dir(returned))
        if not hooks or hooks & {"frith_providers", "frith_configure"}:
            what = ", ".join(sorted(hooks)) or "no hook"
            raise InvalidPluginError(f"it returned {returned!r}, which implements {what}")
        self._manager.register(returned, label + _CONFIGURED)

    @contextmanager
    def _recording_failure(self, label: str, hook: str) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            is_invalid = isinstance(error, InvalidPluginError)
            if is_interrupt(error) or (isinstance(error, FrithError) and not is_invalid):
                raise
            self._fail(label, f"{hook} failed: {described(error)}")

    def _fail(self, label: str, reason: str) -> None:
        """Unload a plugin that fails after it was loaded."""
        if self._offers.pop(label, None) is not None:
            self._manager.unregister(name=label)
        self.records = [
            replace(record, state=PluginState.FAILED, reason=reason, providers=())
            if record.state is PluginState.LOADED
            and label in (record.name, f"{record.name} ({record.distribution})")
            else record
            for record in self.records
        ]


def load_plugins(config: ManagerConfig, own: Mapping[str, object] | None = None) -> Plugins:
    """Load the installed plugins, then the plugin objects of the host, by name."""
    plugins = Plugins(config.blocked_plugins)
    plugins.discover()
    for name, plugin in (own or {}).items():
        plugins.add(name, plugin)
    return plugins


def installed_plugins(config: ManagerConfig) -> tuple[PluginRecord, ...]:
    """Return every installed plugin with its state; opens no provider."""
    return tuple(load_plugins(config).records)


def check_plugin(plugin: object) -> None:
    """Check how ``plugin`` implements hooks.

    Raises:
        InvalidPluginError: an implementation is unmarked, misspelled, wrongly signed, sync where
            the hook is a coroutine function or the reverse, a wrapper or otherwise reordered.
    """
    for name in dir(plugin):
        if not name.startswith("frith_"):
            continue
        function = getattr(plugin, name)
        if callable(function):
            _check_implementation(name, function)


def _check_implementation(name: str, function: Any) -> None:
    specification = HOOKS.get(name)
    if specification is None:
        guess = nearest(name, list(HOOKS))
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise InvalidPluginError(f"there is no hook {name!r}{hint}")
    options = getattr(function, f"{hookspecs.PROJECT}_impl", None)
    if options is None:
        raise InvalidPluginError(f"{name} is not marked with @hookimpl")
    if chosen := sorted(option for option, value in options.items() if value):
        raise InvalidPluginError(f"{name} uses {', '.join(chosen)}, which frith does not allow")
    if inspect.iscoroutinefunction(specification) != inspect.iscoroutinefunction(function):
        kind = "async" if inspect.iscoroutinefunction(specification) else "not async"
        raise InvalidPluginError(f"{name} must be {kind}")
    allowed = list(inspect.signature(specification).parameters)
    given = list(inspect.signature(function).parameters)
    if given not in ([], allowed):
        raise InvalidPluginError(
            f"{name} takes ({', '.join(given)}); it must take ({', '.join(allowed)})"
        )


def _import(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise PluginError(f"import failed: {described(error)}") from error


def _provider_specs(plugin: object) -> list[ProviderSpec]:
    offering: Any = getattr(plugin, "frith_providers", tuple)
    try:
        specs = list(offering())
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise InvalidPluginError(f"frith_providers failed: {described(error)}") from error
    for spec in specs:
        if not isinstance(spec, ProviderSpec):
            raise InvalidPluginError(
                f"frith_providers returned {spec!r}, which is not a ProviderSpec"
            )
    return specs


def _checked_logger(logger: object) -> logging.Logger | None:
    if logger is None or isinstance(logger, logging.Logger):
        return logger
    raise InvalidPluginError(f"frith_logger returned {logger!r}, which is not a logging.Logger")


def _adapted(function: Callable[..., Any], takes_argument: bool) -> Callable[..., Any]:
    return function if takes_argument else lambda *_: function()
