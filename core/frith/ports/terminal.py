"""The terminal port: processes with a terminal, and viewers of it.

It needs neither a file descriptor nor a process id, so that a keeper process or a remote machine
can stand behind it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from anyio import sleep_forever
from pydantic import JsonValue

from frith.errors import UnsupportedCapabilityError

if TYPE_CHECKING:
    from frith.model import ExitStatus, Session, SessionId


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a terminal window in character cells."""

    rows: int = 24
    columns: int = 80


@dataclass(frozen=True, slots=True)
class SpawnRequest:
    """What to run, and where."""

    session_id: SessionId
    command: tuple[str, ...]
    """Argument vector; the first is looked up in ``PATH`` of ``env`` or the host."""
    cwd: str
    """Absolute path of the working directory."""
    workspace: str
    """Absolute path of the workspace."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables set in addition to the host's own environment."""
    size: Size = Size()


class AttachMode(StrEnum):
    """What happens to a viewer that is slower than the output."""

    LOSSLESS = "lossless"
    """It gets every byte; the process may have to wait for it."""
    LOSSY = "lossy"
    """It never holds anything up; what it missed it is told of by a :class:`Gap`."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Output of the process."""

    offset: int
    """Absolute offset of the first byte since the process started."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Output that a lossy viewer missed: bytes ``offset`` to ``offset + missed``.

    One chunk with the whole scrollback follows: a fresh snapshot, taken at the same moment.
    """

    offset: int
    missed: int


@dataclass(frozen=True, slots=True)
class Resize:
    """From ``offset`` on the output was written to a window of this size."""

    offset: int
    size: Size


@dataclass(frozen=True, slots=True)
class Screen:
    """What a terminal shows, for another terminal to show it, too."""

    offset: int
    """Absolute offset of the output that is not shown yet: attach from there to go on."""
    size: Size
    """The size of the window of the process."""
    data: bytes
    """Written to a terminal, it shows the screen and sets the modes of its keys and mouse.

    It goes on with the output from :attr:`offset` correctly if it has the same :attr:`size`.
    """


class Attachment(ABC):
    """One viewer's place in the output."""

    offset: int
    """Absolute offset of the first byte of :attr:`snapshot`."""
    snapshot: bytes
    """The scrollback from ``offset`` on to the moment of attaching."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Chunk | Gap]:
        """Yield what follows the snapshot, until the terminal is drained."""

    @property
    def resizes(self) -> tuple[Resize, ...]:
        """The sizes of the window while the scrollback was written, oldest first.

        The first one held already when the oldest kept byte was written. Empty where a provider
        does not record them.
        """
        return ()


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did about processes that a dead host left behind."""

    found: tuple[int, ...] = ()
    """Process ids that carried the session's identity."""
    ended: tuple[int, ...] = ()
    """Those of them that are gone now."""
    unknown: tuple[str, ...] = ()
    """What could not be told, for a person."""


class Reading(StrEnum):
    """What the processes in the foreground have to do with the input of their terminal."""

    ONLY = "only"
    """One of them does nothing but wait for it."""
    ALSO = "also"
    """One of them waits for it, and for other things, too."""
    NOT = "not"
    """None of them waits for it."""


@dataclass(frozen=True, slots=True)
class Foreground:
    """The processes that have the terminal now."""

    programs: frozenset[str] = frozenset()
    """Their names, without directories; of an interpreter, its script's too."""
    reading: Reading | None = None
    """``None`` if it cannot be told."""
    secret: bool = False
    """Whether the terminal takes a line without showing it, as for a password."""
    written: int | None = None
    """Bytes of input sent so far; ``None`` if they are not counted."""
    written_at: int | None = None
    """How far the output had come when the last of them were sent; ``None`` if that is not kept."""


class Terminal(ABC):
    """One process in one terminal."""

    @property
    @abstractmethod
    def session_id(self) -> SessionId:
        """The session whose process this is."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """Process id of the process, as the owner's machine names it."""

    @property
    @abstractmethod
    def ref(self) -> dict[str, JsonValue]:
        """What this provider needs to find the process again; opaque to everybody else."""

    @property
    def was_shut_down(self) -> bool:
        """Whether the process has ended because the machine or container goes down.

        However it ended then, its session is to be resumed. ``False`` as long as the end is not
        known here, and where the provider cannot tell.
        """
        return False

    @abstractmethod
    def attach(
        self, from_offset: int | None = None, mode: AttachMode = AttachMode.LOSSY
    ) -> AbstractAsyncContextManager[Attachment]:
        """View the output, from the whole scrollback or from an absolute offset on.

        Works after the process has ended too. Bytes before the oldest kept one are a
        :class:`Gap`: the attachment then starts at the oldest.
        """

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send input to the process, all of it, in order among concurrent writers.

        Raises:
            TerminalClosedError: the process has ended.
            LineTooLongError: a line is longer than a canonical-mode terminal keeps.
            TerminalBusyError: the process did not read within the bounded wait.
        """

    @abstractmethod
    async def resize(self, viewer: str, size: Size) -> None:
        """Tell the size of ``viewer``'s window; the latest one given holds, or as a setting says.

        Viewers that only look on need not tell theirs.

        Raises:
            TerminalClosedError: the process has ended.
            ValueError: a dimension is not within 1 to 65535.
        """

    async def leave(self, viewer: str) -> None:
        """Take note that ``viewer`` is gone: the size of its window no longer counts."""
        return

    async def screen(self, size: Size | None = None) -> Screen | None:
        """Return what the terminal shows now; ``None`` where the provider cannot tell.

        The answer is bounded by the size, not by the output. It takes the whole output into
        account, also what the scrollback no longer holds.

        Args:
            size: of the terminal that is to show it; that of the process if not given. Of a
                larger screen it shows the part around the cursor.
        """
        return None

    @abstractmethod
    async def signal(self, number: int) -> None:
        """Send a signal to the process group of the process.

        Raises:
            TerminalClosedError: the process has ended.
        """

    @abstractmethod
    async def terminate(self, grace: float) -> ExitStatus:
        """End every process of the session: SIGTERM, ``grace`` seconds, SIGKILL.

        Returns when the process has ended and its output is drained. Not an error if it has
        ended already.
        """

    @abstractmethod
    async def exited(self) -> ExitStatus:
        """Wait for the process to end; every caller gets the same answer.

        Once the end is known here it is told without waiting, even within an expired deadline.
        """

    @abstractmethod
    async def drained(self) -> None:
        """Wait until all that the process wrote has been read and no more can come."""

    async def collect(self) -> None:
        """Take note that how the process ended is recorded durably; called once it is drained.

        A provider whose processes outlive their host need not keep it any longer.
        """
        return

    def detach(self) -> None:
        """Release what this host has of the process, which runs on; its viewers end.

        Called when another host may run the process by now. Does nothing where the process ends
        with its host.
        """
        return

    async def departed(self, seen: int = 0) -> int:
        """Wait until more than ``seen`` other hosts have let go of the process; return how many.

        Counted from when this host has it; for ever where hosts come and go unnoticed.

        Raises:
            TerminalClosedError: the process has ended.
        """
        await sleep_forever()
        return seen

    async def foreground(self) -> Foreground | None:
        """Look once at who has the terminal now; ``None`` if it cannot be told at all."""
        return None


class TerminalSpawner(ABC):
    """Starts processes in terminals.

    Without ``Capability.ADOPT`` they have ended when the provider is closed: nobody could come
    back to them.
    """

    @abstractmethod
    async def spawn(self, request: SpawnRequest) -> Terminal:
        """Start a process as leader of its own session with its own controlling terminal.

        Its environment carries ``FRITH_SESSION_ID`` and ``FRITH_WORKSPACE``. Cancelled or
        failing, it leaves no process behind. A process that stops (SIGSTOP) is continued with its
        process group: it leads its session, so there is no shell that could continue it.

        Raises:
            CommandNotFoundError: the command does not exist or may not be executed.
            WorkingDirectoryError: ``cwd`` cannot be entered.
            SpawnError: anything else.
        """

    @abstractmethod
    async def sweep(self, session: Session, grace: float) -> SweepReport:
        """End what a dead host left running for ``session``.

        A process is known by what it carries (its environment, start time and boot), never by
        its pid alone. Only called while this process holds the claim on the session.
        """

    async def adopt(self, session: Session) -> Terminal | None:
        """Return the still running terminal of ``session`` that another host started.

        The output goes on where it stopped. A process that ended while no host was there is
        returned, too, until its end is collected, and knows how it ended. ``None`` if there is
        none. Requires ``Capability.ADOPT``. Several hosts may have it at once; only the one that
        holds the claim on the session calls ``terminate`` and ``collect``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "adopt")

    async def recall(self, session: Session) -> Terminal | None:
        """Return the last terminal of ``session`` after its end was collected, to look at.

        It shows the end of the output. ``None`` if nothing is left of it, or the session has
        another process since. Requires ``Capability.RECALL``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "recall")

    async def forget(self, session_id: SessionId) -> None:
        """Remove what could be recalled of a session, which is being destroyed.

        Not an error if there is nothing. Requires ``Capability.RECALL``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "recall")

    async def kept(self) -> dict[SessionId, int]:
        """Return the process id of each session of the workspace that has a process to adopt.

        Whether or not anything records it. Requires ``Capability.ADOPT``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "adopt")
