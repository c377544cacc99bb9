"""The windows in which a terminal is seen, and the size that it has for all of them."""

from __future__ import annotations

from frith.ports import Size
from frith_terminals.sizes import SizePolicy


class Windows:
    """The sizes of the viewers' windows, the latest given last."""

    __slots__ = ("_policy", "_sizes")

    def __init__(self, policy: SizePolicy) -> None:
        self._policy = policy
        self._sizes: dict[str, Size] = {}

    def add(self, viewer: str, size: Size) -> Size:
        """Take note of a window; return the size to have."""
        self._sizes.pop(viewer, None)
        self._sizes[viewer] = size
        return self._wanted()

    def remove(self, viewer: str) -> Size | None:
        """Forget a window; return the size to have, ``None`` to leave it as it is."""
        return self._wanted() if self._sizes.pop(viewer, None) and self._sizes else None

    def _wanted(self) -> Size:
        sizes = self._sizes.values()
        if self._policy is SizePolicy.LATEST:
            return [*sizes][-1]
        return Size(min(size.rows for size in sizes), min(size.columns for size in sizes))
