"""What a keeper has written down of the output when its process had ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from frith.model import ExitStatus
from frith_keeper.keeper.ring import LastRing

_Count = Annotated[int, Field(ge=0)]
_Cells = Annotated[int, Field(ge=1, le=0xFFFF)]


class _About(BaseModel):
    terminal: str
    pid: int
    exit: ExitStatus
    offset: _Count
    sizes: Annotated[list[tuple[_Count, _Cells, _Cells]], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class LastOutput:
    """The end of the output of one process, and how that ended."""

    terminal_id: str
    pid: int
    status: ExitStatus
    ring: LastRing
    sizes: list[tuple[int, int, int]]


def parse(content: bytes | None) -> LastOutput | None:
    """Return what the file of a keeper tells; ``None`` if there is none, or it is rubbish."""
    if content is None:
        return None
    line, _, data = content.partition(b"\n")
    try:
        about = _About.model_validate_json(line)
    except ValidationError:
        return None
    ring = LastRing(about.offset, data)
    return LastOutput(about.terminal, about.pid, about.exit, ring, about.sizes)
