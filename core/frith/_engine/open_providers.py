"""The open providers, each in a task of its own.

A failure in the background of a provider's context becomes
:class:`~frith.errors.ProviderFailedError` for its callers, and the host goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

from anyio import CancelScope, CapacityLimiter, Event, Lock

from frith._engine.tasks import Tasks
from frith._failures import described, is_from_outside, unwrapped
from frith.config import ManagerConfig
from frith.errors import FrithError, ManagerClosedError, ProviderCycleError, ProviderFailedError
from frith.logs import log
from frith.plugins import Offer, Plugins
from frith.ports import (
    SessionRecovery,
    SessionStore,
    StatusDetector,
    TerminalSpawner,
    WorkspaceProvider,
)
from frith.providers import Capability, Role

_THREADS = 40
"""Threads in which the providers of a manager may block at once, as many as anyio's default."""


@dataclass(slots=True)
class _Hosted:
    """One open provider."""

    offer: Offer
    port: Any = None
    failure: BaseException | None = None
    users: set[CancelScope] = field(default_factory=set)
    opened: Event = field(default_factory=Event)
    """Set once it is open, or failed to open."""
    stop: Event = field(default_factory=Event)
    done: Event = field(default_factory=Event)

    def error(self, cause: BaseException, *, ended: bool) -> ProviderFailedError:
        spec = self.offer.spec
        error = ProviderFailedError(spec.role, spec.name, described(cause), ended=ended)
        error.__cause__ = cause
        return error


@dataclass(frozen=True, slots=True)
class _Context:
    """What a factory gets; holds the chain of providers that opened it."""

    providers: Providers
    chain: tuple[tuple[Role, str], ...]

    @property
    def workspace(self) -> Path:
        return self.providers.config.workspace

    @property
    def limiter(self) -> CapacityLimiter:
        return self.providers.limiter

    def open(self, role: Role, name: str) -> AbstractAsyncContextManager[Any]:
        return self.providers.enter(self.providers.plugins.choose(role, name), self.chain)


class Providers:
    """The chosen providers, each opened on first use and closed in reverse order."""

    def __init__(self, tasks: Tasks, config: ManagerConfig, plugins: Plugins) -> None:
        self.config = config
        self.plugins = plugins
        self.limiter = CapacityLimiter(_THREADS)
        self._tasks = tasks
        self._open: dict[tuple[Role, str], _Hosted] = {}
        self._opening = Lock()
        self._chosen = {
            Role.STORE: config.store,
            Role.WORKSPACE: config.workspace_provider,
            Role.RECOVERY: config.recovery,
            Role.TERMINAL: config.terminal,
            Role.STATUS: config.status,
        }

    @overload
    def use(
        self, role: Literal[Role.STORE], name: str | None = None
    ) -> AbstractAsyncContextManager[SessionStore]: ...
    @overload
    def use(
        self, role: Literal[Role.WORKSPACE], name: str | None = None
    ) -> AbstractAsyncContextManager[WorkspaceProvider]: ...
    @overload
    def use(
        self, role: Literal[Role.RECOVERY], name: str | None = None
    ) -> AbstractAsyncContextManager[SessionRecovery]: ...
    @overload
    def use(
        self, role: Literal[Role.TERMINAL], name: str | None = None
    ) -> AbstractAsyncContextManager[TerminalSpawner]: ...
    @overload
    def use(
        self, role: Literal[Role.STATUS], name: str | None = None
    ) -> AbstractAsyncContextManager[StatusDetector]: ...
    def use(self, role: Role, name: str | None = None) -> AbstractAsyncContextManager[Any]:
        """Use the chosen provider of ``role``, or the one called ``name``.

        The block calls the provider, and does nothing else that may fail. If the provider fails,
        the block ends with :class:`ProviderFailedError`. Any exception of a call becomes an error
        of frith, also from an exception group; only a cancellation or interrupt passes unchanged.
        """
        return self._use(role, name or self._chosen[role])

    def can(self, role: Role, name: str, capability: Capability) -> bool:
        """Tell whether the provider of ``role`` called ``name`` declares ``capability``.

        Raises:
            ProviderNotFoundError, DuplicateProviderError: there is not exactly one.
        """
        offer = self.plugins.choose(role, name)
        return capability in offer.spec.capabilities

    @asynccontextmanager
    async def _use(self, role: Role, name: str) -> AsyncIterator[Any]:
        hosted = await self._opened(role, name)
        with CancelScope() as scope:
            hosted.users.add(scope)
            try:
                yield hosted.port
            except FrithError:
                raise
            except BaseException as error:
                if is_from_outside(error):
                    raise
                cause = unwrapped(error)
                if isinstance(cause, FrithError):
                    raise cause from cause.__cause__
                raise hosted.error(cause, ended=False) from cause
            finally:
                hosted.users.discard(scope)
        if scope.cancelled_caught and hosted.failure is not None:
            raise hosted.error(hosted.failure, ended=True)

    async def _opened(self, role: Role, name: str) -> _Hosted:
        hosted = self._open.get((role, name))
        if hosted is None:
            async with self._opening:
                hosted = self._open.get((role, name))
                if hosted is None:
                    hosted = _Hosted(self.plugins.choose(role, name))
                    task = self._tasks.start(self._host, hosted)
                    try:
                        await hosted.opened.wait()
                    except BaseException:
                        await task.cancel()
                        raise
                    if hosted.port is not None:
                        self._open[role, name] = hosted
        if hosted.port is None and hosted.failure is None:
            raise ManagerClosedError
        if hosted.failure is not None:
            if hosted.port is None and isinstance(hosted.failure, FrithError):
                raise hosted.failure
            raise hosted.error(hosted.failure, ended=True)
        return hosted

    async def _host(self, hosted: _Hosted) -> None:
        try:
            async with self.enter(hosted.offer, ()) as port:
                hosted.port = port
                hosted.opened.set()
                await hosted.stop.wait()
        except BaseException as error:
            if is_from_outside(error):
                raise
            hosted.failure = unwrapped(error)
            for scope in hosted.users:
                scope.cancel()
            if hosted.port is not None:
                spec, reason = hosted.offer.spec, described(error)
                log.error("provider_failed", role=spec.role, name=spec.name, reason=reason)
        finally:
            hosted.opened.set()
            hosted.done.set()

    def enter(
        self, offer: Offer, chain: tuple[tuple[Role, str], ...]
    ) -> AbstractAsyncContextManager[Any]:
        """Return the context of ``offer``'s provider, opened by the providers of ``chain``.

        Raises:
            ProviderCycleError: it is in the chain itself.
        """
        spec = offer.spec
        link = (spec.role, spec.name)
        if link in chain:
            raise ProviderCycleError([f"{role}:{name}" for role, name in (*chain, link)])
        options = self.config.section(spec.role, spec.name, spec.config)
        return spec.factory(options, _Context(self, (*chain, link)))

    async def close(self) -> None:
        """Close every provider, the last opened first."""
        for hosted in reversed(self._open.values()):
            hosted.stop.set()
            await hosted.done.wait()
        self._open.clear()
