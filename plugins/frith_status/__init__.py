"""The status provider `status`: the activity of a process, from reports, reads and output."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from frith.hookspecs import hookimpl
from frith.ports import StatusDetector
from frith.providers import ProviderContext, ProviderSpec, Role
from frith_status.options import StatusOptions


def _open(
    options: StatusOptions, _context: ProviderContext
) -> AbstractAsyncContextManager[StatusDetector]:
    from frith_status.detector import open_detector

    return open_detector(options)


@hookimpl
def frith_providers() -> Iterable[ProviderSpec]:
    """Return the status provider `status`."""
    return [ProviderSpec(Role.STATUS, "status", _open, StatusOptions)]
