"""Session manager for parallel development work: a small core plus plugins.

The public names are loaded when first used, so that a plugin which needs only
:data:`hookimpl` does not pay for the manager.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frith.config import ManagerConfig, Options
    from frith.doctor import Finding
    from frith.errors import FrithError, SessionVetoed
    from frith.events import AllSessions, ChangeKind, ChangeReader, Cursor, SessionChange
    from frith.hookspecs import hookimpl
    from frith.manager import SessionManager
    from frith.model import AtStake, ExitStatus, Session, SessionStatus
    from frith.plugins import PluginRecord, PluginState, installed_plugins
    from frith.ports import Holder, Size
    from frith.providers import Capability, ProviderContext, ProviderSpec, Role
    from frith.views import Ended, Output, Redraw, View

__all__ = [
    "AllSessions",
    "AtStake",
    "Capability",
    "ChangeKind",
    "ChangeReader",
    "Cursor",
    "Ended",
    "ExitStatus",
    "Finding",
    "FrithError",
    "Holder",
    "ManagerConfig",
    "Options",
    "Output",
    "PluginRecord",
    "PluginState",
    "ProviderContext",
    "ProviderSpec",
    "Redraw",
    "Role",
    "Session",
    "SessionChange",
    "SessionManager",
    "SessionStatus",
    "SessionVetoed",
    "Size",
    "View",
    "hookimpl",
    "installed_plugins",
]

_HOMES = {
    "frith.events": ("AllSessions", "ChangeKind", "ChangeReader", "Cursor", "SessionChange"),
    "frith.doctor": ("Finding",),
    "frith.plugins": ("PluginRecord", "PluginState", "installed_plugins"),
    "frith.config": ("ManagerConfig", "Options"),
    "frith.errors": ("SessionVetoed", "FrithError"),
    "frith.hookspecs": ("hookimpl",),
    "frith.manager": ("SessionManager",),
    "frith.model": ("AtStake", "ExitStatus", "Session", "SessionStatus"),
    "frith.ports": ("Holder", "Size"),
    "frith.providers": ("Capability", "ProviderContext", "ProviderSpec", "Role"),
    "frith.views": ("Ended", "Output", "Redraw", "View"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
