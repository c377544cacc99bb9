"""The terminal of a process that has ended, and whose keeper has ended, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from anyio import lowlevel
from pydantic import BaseModel, Field, JsonValue

from frith.model import ExitStatus, SessionId
from frith.ports import Size
from frith_keeper.link import Ended, Sizes
from frith_os.pty.ring import Ring
from frith_terminals.terminal import ViewedTerminal
from frith_terminals.viewing import Viewers


class KeptOutput(BaseModel):
    """The end of the output of one process, and how that ended."""

    terminal: str
    pid: int
    exit: ExitStatus
    offset: Annotated[int, Field(ge=0)]
    sizes: Sizes
    data: bytes

    @classmethod
    def parse(cls, content: bytes | None) -> KeptOutput | None:
        """Return the content of the file that a keeper left; ``None`` without a valid one."""
        line, _, data = (content or b"").partition(b"\n")
        with suppress(ValueError, TypeError, RecursionError):
            return cls(**json.loads(line), data=data)
        return None


class EndedTerminal(ViewedTerminal):
    """The exit status of a process, and the end of its output if that could be written."""

    def __init__(
        self,
        session_id: SessionId,
        ref: dict[str, JsonValue],
        ended: Ended,
        output: KeptOutput | None,
        clear: Callable[[], None] = lambda: None,
    ) -> None:
        """Show a process that has ended.

        Args:
            session_id: its session.
            ref: as it was recorded.
            ended: how it ended.
            output: the end of its output, if its keeper could keep that.
            clear: removes the exit status that its keeper has written.
        """
        ring = Ring(output.offset, output.data) if output else Ring(0, b"")
        sizes = output.sizes if output else [(0, 24, 80)]
        viewers = Viewers(ring, sizes, hold=lambda _: None, later=lambda *_: None)
        super().__init__(session_id, str(ref.get("terminal")), viewers)
        self._ref = ref
        self._was_shut_down = ended.shut_down
        self._clear = clear
        self._status = ended.exit
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
