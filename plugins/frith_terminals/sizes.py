"""Whose window gives a terminal its size."""

from __future__ import annotations

from enum import StrEnum


class SizePolicy(StrEnum):
    """Whose window gives a terminal its size if several viewers tell theirs."""

    LATEST = "latest"
    """That of the viewer who told it last."""
    SMALLEST = "smallest"
    """As many rows and columns as every viewer can show."""
