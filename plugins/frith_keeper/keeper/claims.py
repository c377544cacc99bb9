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
    __slots__ = ("asked", "host", "is_answered", "viewer")

    def __init__(self, host: Host | None, viewer: str | None) -> None:
        self.host, self.viewer = host, viewer
        self.asked: set[Host | None] = set()
        self.is_answered = False

    def falls_to(self, host: Host | None) -> bool:
        """Whether ``host``, which asks, replaces one that is suspended or gone."""
        if self.host is None or self.is_answered:
            return False
        if self.host.is_gone:
            return self.viewer is None  # else the viewer may have answered
        return host in self.asked and self.host not in self.asked


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
        self, host: Host | None, queries: Iterable[int], owner: tuple[Host, str] | None
    ) -> list[tuple[int, str | None]]:
        """Return those of ``queries`` that ``host`` has to have answered, and by which viewer.

        ``None`` stands for this keeper, which answers while no host is connected. The viewer is the
        one that owns the size when the first host asks; ``None`` is the emulator of that host.
        """
        recent = self.recent
        self._claimed = {at: each for at, each in self._claimed.items() if at >= recent}
        mine = []
        for at in queries:
            if at < recent or (len(self._claimed) >= _MOST and at not in self._claimed):
                continue
            claimed = self._claimed.setdefault(at, _Claimed(*(owner or (host, None))))
            if claimed.falls_to(host):
                claimed.host, claimed.viewer = host, None
            claimed.asked.add(host)
            if claimed.host is host:
                mine.append((at, claimed.viewer))
        return mine

    def answers(self, host: Host, query: int) -> bool:
        """Return whether the answer of this host's emulator to ``query`` is to be written."""
        claimed = self._claimed.get(query)
        if claimed is None or claimed.host is not host or query < self.recent:
            return False
        was_answered, claimed.is_answered = claimed.is_answered, True
        return not was_answered
