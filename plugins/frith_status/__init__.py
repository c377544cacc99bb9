"""The status provider `status`: the activity of a process, from reports, reads and output."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from frith.hookspecs import hookimpl
from frith.ports import StatusDetector
from frith.providers import ProviderContext, ProviderSpec, Role
from frith_status.options import StatusOptions


@asynccontextmanager
async def _open(options: StatusOptions, _: ProviderContext) -> AsyncIterator[StatusDetector]:
    from frith_status.detector import Detector

    yield Detector(options)


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    """Return the status provider `status`."""
    return [ProviderSpec(Role.STATUS, "status", _open, StatusOptions)]
