"""The ports: the interfaces of store, workspace, recovery, terminal and status providers.

A port is an abstract base class. Later versions add methods only with a default, so that no
implementation breaks. Optional abilities are named :class:`~frith.providers.Capability`; one
that is not declared raises :class:`~frith.errors.UnsupportedCapabilityError`.
"""

from frith.ports.recovery import Marker, MarkerState, SessionRecovery
from frith.ports.status import Conclusion, StatusDetector, StatusWatch, Stuck
from frith.ports.store import (
    Claim,
    Committed,
    Holder,
    SessionStore,
    Transaction,
    WrappedStore,
)
from frith.ports.terminal import (
    Attachment,
    AttachMode,
    Chunk,
    Direct,
    Foreground,
    Gap,
    Reading,
    Resize,
    Screen,
    Size,
    SpawnRequest,
    SweepReport,
    Terminal,
    TerminalSpawner,
)
from frith.ports.workspace import (
    Branch,
    ChangedFile,
    Diff,
    DiffScope,
    FileChange,
    Location,
    Presence,
    WorkspaceProvider,
    WorktreePlan,
    WorktreeRequest,
)

__all__ = [
    "AttachMode",
    "Attachment",
    "Branch",
    "ChangedFile",
    "Chunk",
    "Claim",
    "Committed",
    "Conclusion",
    "Diff",
    "DiffScope",
    "Direct",
    "FileChange",
    "Foreground",
    "Gap",
    "Holder",
    "Location",
    "Marker",
    "MarkerState",
    "Presence",
    "Reading",
    "Resize",
    "Screen",
    "SessionRecovery",
    "SessionStore",
    "Size",
    "SpawnRequest",
    "StatusDetector",
    "StatusWatch",
    "Stuck",
    "SweepReport",
    "Terminal",
    "TerminalSpawner",
    "Transaction",
    "WorkspaceProvider",
    "WorktreePlan",
    "WorktreeRequest",
    "WrappedStore",
]
