"""Which host has each query of the command answered; see ``frith_terminals.answering``."""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .hosts import Host

_LATEST = 1.0
"""Seconds after which a query is not answered any more."""
_STEP = 0.1
"""Seconds between two points of the output whose time is kept."""
_MOST = 1000
"""Queries of the last second that are answered at most."""


class _Claimed:
    __slots__ = ("asked", "host", "viewer")

    def __init__(self, host: Host, viewer: str | None) -> None:
        self.host, self.viewer = host, viewer
        self.asked: set[Host] = set()


class Claims:
    """The queries of the last second.

    Every host finds the same queries in the output, and asks for each whether it has to have it
    answered: that is decided once.
    """

    def __init__(self) -> None:
        self._times = [(monotonic(), 0)]
        """When output came that begins at the offset."""
        self._end = 0
        self._claimed: dict[int, _Claimed] = {}

    def came(self, end: int) -> None:
        """Note that output up to ``end`` has come."""
        now = monotonic()
        if now - self._times[-1][0] >= _STEP:
            self._times.append((now, self._end))
            while self._times[0][0] < now - _LATEST:
                del self._times[0]
        self._end = end

    @property
    def recent(self) -> int:
        """The offset of the output of the last second."""
        since = monotonic() - _LATEST
        return next((offset for time, offset in self._times if time >= since), self._end)

    def claim(
        self, host: Host, queries: Iterable[int], owner: tuple[Host, str] | None
    ) -> list[tuple[int, str | None]]:
        """Return those of ``queries`` that ``host`` has to have answered, and by which viewer.

        That is the viewer that owns the size when the first host asks; without one, that host's
        emulator. A host that asks again gets a query whose host has not asked meanwhile: it is
        suspended or gone.
        """
        recent = self.recent
        self._claimed = {at: each for at, each in self._claimed.items() if at >= recent}
        mine = []
        for at in queries:
            if at < recent or (len(self._claimed) >= _MOST and at not in self._claimed):
                continue
            claimed = self._claimed.setdefault(at, _Claimed(*(owner or (host, None))))
            if host in claimed.asked and claimed.host not in claimed.asked:
                claimed.host, claimed.viewer = host, None
            claimed.asked.add(host)
            if claimed.host is host:
                mine.append((at, claimed.viewer))
        return mine
