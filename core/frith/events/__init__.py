"""What a host is told: lifecycle events, the argument of each hook; and changes, read as a stream.

All are frozen, with their contents, so that no hook can change what the next hook or the manager
sees. To change metadata, copy it with ``copy.deepcopy()`` first. New fields have defaults.
"""

from frith.events._changes import AllSessions, ChangeKind, ChangeReader, Cursor, SessionChange
from frith.events._lifecycle import (
    Event,
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

__all__ = [
    "AllSessions",
    "ChangeKind",
    "ChangeReader",
    "Cursor",
    "Event",
    "ProcessExited",
    "SessionChange",
    "SessionChangedElsewhere",
    "SessionCreated",
    "SessionCreating",
    "SessionCreationFailed",
    "SessionDestroyed",
    "SessionDestroying",
    "SessionLost",
    "SessionStatusChanged",
    "SessionStuck",
    "SessionUpdated",
    "SessionWaiting",
    "SessionsRecovered",
    "SessionsRestored",
    "StoreCorrupted",
]
