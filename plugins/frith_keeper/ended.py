"""The terminal of a process that has ended, and whose keeper has ended, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from anyio import lowlevel
from pydantic import BaseModel, Field, JsonValue, ValidationError

from frith.model import ExitStatus, SessionId
from frith.ports import Size
from frith_os.pty.ring import Ring
from frith_terminals.terminal import ViewedTerminal
from frith_terminals.viewing import Viewers

_Count = Annotated[int, Field(ge=0)]
_Cells = Annotated[int, Field(ge=1, le=0xFFFF)]


class _About(BaseModel):
    terminal: str
    pid: int
    exit: ExitStatus
    offset: _Count
    sizes: Annotated[list[tuple[_Count, _Cells, _Cells]], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class KeptOutput:
    """The end of the output of one process, and how that ended."""

    terminal_id: str
    pid: int
    status: ExitStatus
    ring: Ring
    sizes: list[tuple[int, int, int]]


def parse(content: bytes | None) -> KeptOutput | None:
    """Return the content of the file that a keeper left; ``None`` without a valid one."""
    if content is None:
        return None
    line, _, data = content.partition(b"\n")
    try:
        about = _About.model_validate_json(line)
    except ValidationError:
        return None
    ring = Ring(about.offset, data)
    return KeptOutput(about.terminal, about.pid, about.exit, ring, about.sizes)


class EndedTerminal(ViewedTerminal):
    """The exit status of a process, and the end of its output if that could be written."""

    def __init__(
        self,
        session_id: SessionId,
        ref: dict[str, JsonValue],
        status: ExitStatus,
        output: KeptOutput | None = None,
        *,
        was_shut_down: bool = False,
        clear: Callable[[], None] = lambda: None,
    ) -> None:
        """Show a process that has ended.

        Args:
            session_id: its session.
            ref: as it was recorded.
            status: how it ended.
            output: the end of its output, if its keeper could keep that.
            was_shut_down: whether its keeper was told to end before it did.
            clear: removes the exit status that its keeper has written.
        """
        ring = output.ring if output else Ring(0, b"")
        viewers = Viewers(ring, output.sizes if output else [(0, 24, 80)], lambda _: None)
        super().__init__(session_id, str(ref.get("terminal")), viewers)
        self._ref = ref
        self._was_shut_down = was_shut_down
        self._clear = clear
        self._status = status
        self._exited.set()
        self._drained.set()
        viewers.close()

    @property
    def pid(self) -> int:
        """Process id that the process had."""
        pid = self._ref.get("pid")
        return pid if isinstance(pid, int) else 0

    @property
    def ref(self) -> dict[str, JsonValue]:
        """As it was recorded."""
        return dict(self._ref)

    @property
    def was_shut_down(self) -> bool:
        """Whether the keeper was told to end before its process did."""
        return self._was_shut_down

    async def write(self, data: bytes) -> None:
        """Refuse; the process has ended."""
        self.check_running()

    async def resize(self, viewer: str, size: Size) -> None:
        """Refuse; the process has ended."""
        self.check_running()

    async def signal(self, number: int) -> None:
        """Refuse; the process has ended."""
        self.check_running()

    async def terminate(self, grace: float) -> ExitStatus:
        """Return how it ended."""
        await self.collect()
        return await self.exited()

    async def collect(self) -> None:
        """Remove the exit status that the keeper has written; the output stays."""
        await lowlevel.checkpoint()
        self._clear()
