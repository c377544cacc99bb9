"""The windows in which a terminal is viewed, and the size that it has for all of them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any

    Size = tuple[int, int]

SMALLEST = "smallest"
"""The policy by which every viewer sees all; otherwise the latest size given holds."""


class Windows:
    """The sizes of the viewers' windows, in rows and columns, the latest given last."""

    __slots__ = ("_policy", "_sizes")

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._sizes: dict[Hashable, Size] = {}

    def add(self, viewer: Hashable, size: Size) -> Size:
        """Record the window of ``viewer``; return the size that the terminal is to have."""
        self._sizes.pop(viewer, None)
        self._sizes[viewer] = size
        return self._wanted()

    def remove(self, *viewers: Hashable) -> Size | None:
        """Forget windows; return the size to have, ``None`` to leave it as it is."""
        gone = [self._sizes.pop(viewer, None) for viewer in viewers]
        return self._wanted() if any(gone) and self._sizes else None

    @property
    def owner(self) -> Any:
        """The latest viewer whose window is as large as the terminal; ``None`` without one."""
        wanted = self._wanted() if self._sizes else None
        latest_first = reversed(self._sizes.items())
        return next((viewer for viewer, size in latest_first if size == wanted), None)

    def _wanted(self) -> Size:
        sizes = [*self._sizes.values()]
        if self._policy == SMALLEST:
            return min(rows for rows, _ in sizes), min(columns for _, columns in sizes)
        return sizes[-1]
