"""The umask and the limits of the caller, which the command inherits, and the keeper's own."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_UMASK = 0o077
_RAISED = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NOFILE")
"""Limits at which a keeper would fail or be killed, and the command would lose its terminal."""

Limits = dict[int, tuple[int, int]]


class Inherited:
    """What the caller has; from now on this process has its own.

    That is a umask that lets no other user in, the hard limits as soft ones, and no core dumps,
    which would contain the output.
    """

    def __init__(self) -> None:
        limited = [getattr(resource, name) for name in _RAISED]
        self._limits = {each: resource.getrlimit(each) for each in limited}
        self._own = {each: (hard, hard) for each, (_, hard) in self._limits.items()}
        self._limits[resource.RLIMIT_CORE] = resource.getrlimit(resource.RLIMIT_CORE)
        self._own[resource.RLIMIT_CORE] = 0, self._limits[resource.RLIMIT_CORE][1]
        self._umask = os.umask(_UMASK)
        _limit(self._own)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the caller's again inside, for a process that is started there."""
        os.umask(self._umask)
        _limit(self._limits)
        try:
            yield
        finally:
            _limit(self._own)
            os.umask(_UMASK)


def _limit(limits: Limits) -> None:
    for each, values in limits.items():
        with suppress(OSError, ValueError):  # more descriptors than the system allows by now
            resource.setrlimit(each, values)
