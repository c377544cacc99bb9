"""Plugin `policy` for frith: refuses sessions whose names a team does not want."""

from __future__ import annotations

from frith import ManagerConfig, Options, SessionVetoed, hookimpl
from frith.events import SessionCreating


class PolicyOptions(Options):
    """Options of the plugin: ``options={"plugin": {"policy": {…}}}``."""

    forbidden: str = "wip"
    """The forbidden beginning of names."""


class Policy:
    """Refuses names in one manager."""

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options

    @hookimpl
    async def frith_session_creating(self, event: SessionCreating) -> None:
        """Refuse a name with the forbidden beginning."""
        if (event.name or "").startswith(self._options.forbidden):
            raise SessionVetoed(f"no name may begin with {self._options.forbidden!r}")


@hookimpl
def frith_configure(config: ManagerConfig) -> Policy:
    """Return the policy of a manager."""
    return Policy(config.plugin_options("policy", PolicyOptions))
