"""Every error that spinney raises: one root, each with a stable ``code`` and typed attributes.

A message tells a person what happened, to what, and what to do next; a program reads ``code``
and the attributes. Plugins raise these, or subclasses of these with a code of their own.
"""

from spinney.errors._plugins import (
    ConfigurationError,
    DuplicateProviderError,
    PluginError,
    ProviderCycleError,
    ProviderFailedError,
    ProviderNotFoundError,
    UnsupportedCapabilityError,
    UnsupportedPlatformError,
)
from spinney.errors._root import SpinneyError, nearest
from spinney.errors._sessions import (
    InvalidNameError,
    ManagerClosedError,
    SessionLimitError,
    SessionNotFoundError,
    SessionNotRunningError,
    SessionOwnedError,
    SessionRunningError,
    SessionVetoed,
    VetoHookFailedError,
)
from spinney.errors._store import (
    ClaimHeldError,
    CommitOutcomeUnknownError,
    CorruptStoreError,
    StoreBusyError,
    StoreError,
    StoreVersionError,
)
from spinney.errors._terminal import (
    CommandNotFoundError,
    LineTooLongError,
    SpawnError,
    TerminalBusyError,
    TerminalClosedError,
    TerminalError,
    WorkingDirectoryError,
)
from spinney.errors._workspace import (
    BaseNotFoundError,
    BranchInUseError,
    BranchNotFoundError,
    BranchTakenError,
    InvalidBranchError,
    InvalidWorkspaceError,
    RemovalBlockedError,
    WorkAtStakeError,
    WorkspaceError,
    WorktreeMissingError,
    WorktreeRedirectedError,
)

__all__ = [
    "BaseNotFoundError",
    "BranchInUseError",
    "BranchNotFoundError",
    "BranchTakenError",
    "ClaimHeldError",
    "CommandNotFoundError",
    "CommitOutcomeUnknownError",
    "ConfigurationError",
    "CorruptStoreError",
    "DuplicateProviderError",
    "InvalidBranchError",
    "InvalidNameError",
    "InvalidWorkspaceError",
    "LineTooLongError",
    "ManagerClosedError",
    "PluginError",
    "ProviderCycleError",
    "ProviderFailedError",
    "ProviderNotFoundError",
    "RemovalBlockedError",
    "SessionLimitError",
    "SessionNotFoundError",
    "SessionNotRunningError",
    "SessionOwnedError",
    "SessionRunningError",
    "SessionVetoed",
    "SpawnError",
    "SpinneyError",
    "StoreBusyError",
    "StoreError",
    "StoreVersionError",
    "TerminalBusyError",
    "TerminalClosedError",
    "TerminalError",
    "UnsupportedCapabilityError",
    "UnsupportedPlatformError",
    "VetoHookFailedError",
    "WorkAtStakeError",
    "WorkingDirectoryError",
    "WorkspaceError",
    "WorktreeMissingError",
    "WorktreeRedirectedError",
    "nearest",
]
