"""Providers: implementations of a port, offered by plugins and chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from anyio import CapacityLimiter
from pydantic import BaseModel

from frith.config import Options


class Role(StrEnum):
    """The purpose of a provider; each role has one port."""

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
    """Optional abilities of providers, and properties that the conformance suites rely on.

    The suites test that a capability which is not declared is refused or absent.
    """

    WATCH = "watch"
    """A store reports changes by other processes: ``SessionStore.watch``."""
    REPAIR = "repair"
    """A store replaces corrupt content by what recovery found: ``SessionStore.replace_corrupt``."""
    ADOPT = "adopt"
    """Processes outlive their host, and another adopts them: ``TerminalSpawner.adopt``."""
    RECALL = "recall"
    """The last output of ended processes is kept until forgotten: ``TerminalSpawner.recall``."""
    DIFF = "diff"
    """A workspace shows what has changed in worktrees: ``WorkspaceProvider.changed_files`` and
    ``WorkspaceProvider.diff``."""
    BRANCHES = "branches"
    """A workspace lists its branches: ``WorkspaceProvider.branches``."""
    QUERIES = "queries"
    """A terminal has each query of its process answered once, by a viewer or by itself; see
    ``Terminal.attach``."""
    MULTI_PROCESS = "multi-process"
    """Any number of processes use it on one workspace at once. A provider without it refuses to
    be opened while another process has it open."""
    FILE_BACKED = "file-backed"
    """Everything that it stores is in files below the workspace: the suites try crashes, failing
    system calls and full disks."""
    CHECKSUMMED = "checksummed"
    """It notices every changed, missing or added byte in its files; with ``file-backed``."""


class ProviderContext(Protocol):
    """The second argument of a provider's factory."""

    @property
    def workspace(self) -> Path:
        """Absolute path of the workspace."""

    @property
    def limiter(self) -> CapacityLimiter:
        """Limits the threads in which the manager's providers may block at once.

        Pass it to every ``anyio.to_thread.run_sync``. Otherwise threads that are stuck, on a hung
        mount for example, hold up every other manager of the process.
        """

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
