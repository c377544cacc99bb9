"""Session manager for parallel development work: a small core plus plugins.

The public names are loaded when first used, so that a plugin which needs only
:data:`hookimpl` does not pay for the manager.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spinney._diagnosing import Finding
    from spinney._loading import PluginRecord, PluginState, installed_plugins
    from spinney.config import ManagerConfig, Options
    from spinney.errors import SessionVetoed, SpinneyError
    from spinney.hookspecs import hookimpl
    from spinney.manager import SessionManager
    from spinney.model import AtStake, ExitStatus, Session, SessionStatus
    from spinney.ports import Holder, Size
    from spinney.providers import Capability, ProviderContext, ProviderSpec, Role

__all__ = [
    "AtStake",
    "Capability",
    "ExitStatus",
    "Finding",
    "Holder",
    "ManagerConfig",
    "Options",
    "PluginRecord",
    "PluginState",
    "ProviderContext",
    "ProviderSpec",
    "Role",
    "Session",
    "SessionManager",
    "SessionStatus",
    "SessionVetoed",
    "Size",
    "SpinneyError",
    "hookimpl",
    "installed_plugins",
]

_HOMES = {
    "spinney._diagnosing": ("Finding",),
    "spinney._loading": ("PluginRecord", "PluginState", "installed_plugins"),
    "spinney.config": ("ManagerConfig", "Options"),
    "spinney.errors": ("SessionVetoed", "SpinneyError"),
    "spinney.hookspecs": ("hookimpl",),
    "spinney.manager": ("SessionManager",),
    "spinney.model": ("AtStake", "ExitStatus", "Session", "SessionStatus"),
    "spinney.ports": ("Holder", "Size"),
    "spinney.providers": ("Capability", "ProviderContext", "ProviderSpec", "Role"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
