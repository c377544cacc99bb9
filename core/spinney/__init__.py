"""Session manager for parallel development work: a small core plus plugins."""

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
