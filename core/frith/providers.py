"""Providers: implementations of a port, offered by plugins and chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from frith.config import ManagerConfig, Options
from frith.errors import DuplicateProviderError, ProviderNotFoundError


class Role(StrEnum):
    """The part that a provider plays; each has one port."""

    STORE = "store"
    """:class:`~frith.ports.SessionStore`"""
    WORKSPACE = "workspace"
    """:class:`~frith.ports.WorkspaceProvider`"""
    RECOVERY = "recovery"
    """:class:`~frith.ports.SessionRecovery`"""
    TERMINAL = "terminal"
    """:class:`~frith.ports.TerminalSpawner`"""
    STATUS = "status"
    """:class:`~frith.ports.StatusDetector`"""


class Capability(StrEnum):
    """Optional abilities of providers, and traits that the conformance suites rely on.

    What is not declared is tested to be refused, or not to be there.
    """

    WATCH = "watch"
    """A store reports changes by other processes: ``SessionStore.watch``."""
    REPAIR = "repair"
    """A store replaces corrupt content by what recovery found: ``SessionStore.replace_corrupt``."""
    ADOPT = "adopt"
    """Processes outlive their host, and another adopts them: ``TerminalSpawner.adopt``."""
    RECALL = "recall"
    """What ended processes wrote last is kept until forgotten: ``TerminalSpawner.recall``."""
    MULTI_PROCESS = "multi-process"
    """Any number of processes use it on one workspace at once. A provider without it refuses to
    be opened while another process has it open."""
    FILE_BACKED = "file-backed"
    """What it keeps lies in files beneath the workspace, and nowhere else: crashes, failing
    system calls and full disks are tried on it."""
    CHECKSUMMED = "checksummed"
    """It notices every changed, missing or added byte of what it keeps; with ``file-backed``."""


class ProviderContext(Protocol):
    """What frith gives a provider's factory."""

    @property
    def workspace(self) -> Path:
        """Absolute path of the workspace."""

    def open(self, role: Role, name: str) -> AbstractAsyncContextManager[Any]:
        """Open another provider, to wrap it.

        Raises:
            ProviderNotFoundError: no plugin offers it.
            ProviderCycleError: it is being opened already.
        """


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One provider that a plugin offers."""

    role: Role
    name: str
    factory: Callable[[Any, ProviderContext], AbstractAsyncContextManager[Any]]
    """``factory(options, context)``: an async context manager of the role's port. It imports
    its machinery when called, not before."""
    config: type[BaseModel] = Options
    """The provider's own options."""
    capabilities: frozenset[Capability] = frozenset()


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider, and who offers it."""

    spec: ProviderSpec
    plugin: str
    """Name of the plugin."""
    distribution: str
    """Distribution that the plugin came with."""


def chosen_name(config: ManagerConfig, role: Role) -> str:
    """Return the name of the provider that ``config`` chooses for ``role``."""
    return {
        Role.STORE: config.store,
        Role.WORKSPACE: config.workspace_provider,
        Role.RECOVERY: config.recovery,
        Role.TERMINAL: config.terminal,
        Role.STATUS: config.status,
    }[role]


def choose(offers: Iterable[Offer], role: Role, name: str, reason: str = "") -> Offer:
    """Return the one offer of ``role`` called ``name``.

    Args:
        offers: all that loaded plugins offer.
        reason: what to add if there is none, say that a plugin failed to load.

    Raises:
        ProviderNotFoundError: there is none.
        DuplicateProviderError: there are several, whatever their order.
    """
    in_role = [offer for offer in offers if offer.spec.role == role]
    named = [offer for offer in in_role if offer.spec.name == name]
    if not named:
        raise ProviderNotFoundError(role, name, [o.spec.name for o in in_role], reason)
    if len(named) > 1:
        raise DuplicateProviderError(role, name, [f"{o.distribution} ({o.plugin})" for o in named])
    return named[0]
