"""Plugin `policy` for frith: refuses sessions whose names a team does not want."""

from __future__ import annotations

from frith import ManagerConfig, Options, SessionVetoed, hookimpl
from frith.events import SessionCreating


class PolicyOptions(Options):
    """Options of the plugin: ``options={"plugin": {"policy": {…}}}``."""

    forbidden: str = "wip"
    """The forbidden beginning of names."""


class Policy:
    """Refuses names. One object, because its options are known only when a manager opens."""

    def __init__(self) -> None:
        self._options = PolicyOptions()

    @hookimpl
    def frith_configure(self, config: ManagerConfig) -> None:
        """Keep the options."""
        self._options = config.plugin_options("policy", PolicyOptions)

    @hookimpl
    async def frith_session_creating(self, event: SessionCreating) -> None:
        """Refuse a name with the forbidden beginning."""
        if (event.name or "").startswith(self._options.forbidden):
            raise SessionVetoed(f"no name may begin with {self._options.forbidden!r}")


plugin = Policy()
