"""Status `status`: what a process does, told by itself, by what it waits for, writes, or not."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from spinney.hookspecs import hookimpl
from spinney.ports import StatusDetector
from spinney.providers import ProviderContext, ProviderSpec, Role
from spinney_status.options import StatusOptions


def _open(
    options: StatusOptions, _context: ProviderContext
) -> AbstractAsyncContextManager[StatusDetector]:
    from spinney_status._detector import open_detector

    return open_detector(options)


@hookimpl
def spinney_providers() -> Iterable[ProviderSpec]:
    """Offer the status provider `status`."""
    return [ProviderSpec(Role.STATUS, "status", _open, StatusOptions)]
