"""Managers on the fakes, and a plugin that sees every lifecycle event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from anyio import CancelScope, create_task_group
from anyio.lowlevel import checkpoint

from frith import Capability, ManagerConfig, ProviderSpec, Role, SessionManager, hookimpl
from frith.events import Event

from .fakes import FakeDetector, FakeRecovery, FakeSpawner, FakeStore, FakeWorkspace
from .world import WORKSPACE, World

_Event = TypeVar("_Event", bound=Event)

BUILT_INS = frozenset({"json", "git", "pty", "keeper", "log", "status"})

PORTS: dict[Role, Callable[[World], object]] = {
    Role.STORE: FakeStore,
    Role.WORKSPACE: FakeWorkspace,
    Role.RECOVERY: FakeRecovery,
    Role.TERMINAL: FakeSpawner,
    Role.STATUS: FakeDetector,
}


class FakePlugin:
    """Offers the five fakes."""

    def __init__(
        self, world: World, capabilities: Iterable[Capability] = (), name: str = "fake"
    ) -> None:
        self.world = world
        self._name = name
        self._capabilities = frozenset(capabilities)

    @hookimpl
    def frith_providers(self) -> Iterable[ProviderSpec]:
        return [
            ProviderSpec(role, self._name, self._factory(role), capabilities=self._capabilities)
            for role in Role
        ]

    def _factory(self, role: Role) -> Any:
        @asynccontextmanager
        async def factory(_options: Any, _context: Any) -> AsyncIterator[object]:
            self.world.fail(f"open {role}")
            async with create_task_group() as tasks:
                tasks.start_soon(self._collapse, role)
                yield PORTS[role](self.world)
                tasks.cancel_scope.cancel()
            self.world.calls.append(f"close {role}")
            self.world.fail(f"close {role}")

        return factory

    async def _collapse(self, role: Role) -> None:
        await self.world.collapses[role].wait()
        raise RuntimeError(f"the {role} collapsed")


class Witness:
    """A plugin that keeps every lifecycle event that it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def seen(self, kind: type[_Event]) -> list[_Event]:
        """Return the events of ``kind``, in order."""
        return [event for event in self.events if type(event) is kind]

    @property
    def kinds(self) -> list[str]:
        """The kinds of all events, in order."""
        return [type(event).__name__ for event in self.events]


def _keeping(hook: str) -> Any:
    async def implementation(self: Witness, event: Event) -> None:
        self.events.append(event)

    implementation.__name__ = hook
    return hookimpl(implementation)


LIFECYCLE_HOOKS = (
    "frith_session_creating",
    "frith_session_created",
    "frith_session_creation_failed",
    "frith_session_status_changed",
    "frith_session_updated",
    "frith_session_waiting",
    "frith_session_stuck",
    "frith_session_changed_elsewhere",
    "frith_session_lost",
    "frith_session_destroying",
    "frith_session_destroyed",
    "frith_sessions_restored",
    "frith_store_corrupted",
    "frith_sessions_recovered",
    "frith_process_exited",
)
for _hook in LIFECYCLE_HOOKS:
    setattr(Witness, _hook, _keeping(_hook))


async def leak_a_cancellation() -> None:
    """Raise a cancellation that no scope has requested, as awaiting a cancelled task does."""
    leaked: BaseException | None = None
    with CancelScope() as scope:
        scope.cancel()
        try:
            await checkpoint()
        except BaseException as error:
            leaked = error
    assert leaked is not None
    raise leaked


def configuration(**changes: Any) -> ManagerConfig:
    """Return a configuration that chooses the fakes."""
    values: dict[str, Any] = {
        "workspace": Path(WORKSPACE),
        "store": "fake",
        "workspace_provider": "fake",
        "recovery": "fake",
        "terminal": "fake",
        "status": "fake",
        "command": ("agent",),
        "blocked_plugins": BUILT_INS,
    }
    return ManagerConfig.of(**{**values, **changes})


def manager(
    world: World,
    *own: object,
    capabilities: Iterable[Capability] = (Capability.WATCH, Capability.REPAIR),
    restore: bool = True,
    **changes: Any,
) -> SessionManager:
    """Return a manager on the fakes with these plugins of the host's own; not open yet."""
    plugins = {f"own-{number}": plugin for number, plugin in enumerate(own)}
    plugins["fakes"] = FakePlugin(world, capabilities)
    return SessionManager(configuration(**changes), plugins=plugins, restore=restore)
