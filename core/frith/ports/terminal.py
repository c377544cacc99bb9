"""The terminal port: processes with a terminal, and viewers of it.

It needs neither a file descriptor nor a process id, so that a keeper process or a remote machine
can implement it.
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
    """The process to start, and the terminal for it."""

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
    """The treatment of a viewer that is slower than the output."""

    LOSSLESS = "lossless"
    """It gets every byte; the process may be paused for it."""
    LOSSY = "lossy"
    """It never delays the process; a :class:`Gap` stands for the output that it missed."""


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
    """From ``offset`` on the output was written for a window of this size."""

    offset: int
    size: Size


@dataclass(frozen=True, slots=True)
class Screen:
    """The screen of a terminal, as output that makes another terminal show it."""

    offset: int
    """Absolute offset of the output that follows the screen: attach from there."""
    size: Size
    """The size of the window of the process."""
    data: bytes
    """Output that shows the screen and sets the keyboard and mouse modes.

    The output from :attr:`offset` continues it correctly in a terminal of the same :attr:`size`.
    """


class Attachment(ABC):
    """The position of one viewer in the output."""

    offset: int
    """Absolute offset of the first byte of :attr:`snapshot`."""
    snapshot: bytes
    """The scrollback from ``offset`` to the end, at the moment of attaching."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Chunk | Gap]:
        """Yield what follows the snapshot, until the terminal is drained."""

    @property
    def resizes(self) -> tuple[Resize, ...]:
        """The sizes of the window while the scrollback was written, oldest first.

        The first is the size when the oldest kept byte was written. Empty if the provider does not
        record sizes.
        """
        return ()


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The processes that a sweep found, after their host had died."""

    found: tuple[int, ...] = ()
    """Ids of the processes of the session."""
    ended: tuple[int, ...] = ()
    """Ids of those that have ended."""
    unknown: tuple[str, ...] = ()
    """Open questions, for the user."""


class Reading(StrEnum):
    """Whether the foreground processes wait for input from their terminal."""

    ONLY = "only"
    """One of them waits only for input."""
    ALSO = "also"
    """One of them waits for input and for other events."""
    NOT = "not"
    """None of them waits for input."""


@dataclass(frozen=True, slots=True)
class Foreground:
    """The foreground processes of a terminal."""

    programs: frozenset[str] = frozenset()
    """Their names, without directories; for an interpreter, also that of its script."""
    reading: Reading | None = None
    """``None`` if unknown."""
    secret: bool = False
    """Whether the terminal does not echo the line it reads, as for a password."""
    written: int | None = None
    """Bytes of input sent so far; ``None`` if they are not counted."""
    written_at: int | None = None
    """Offset of the output when the last of them were sent; ``None`` if it is not recorded."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Where a client on the same machine reaches a terminal without its host."""

    protocol: str
    """Name of what is spoken there."""
    version: int
    """A client that does not speak this version goes through the host."""
    address: str
    """In the form that the protocol has, for example the path of a socket."""


class Terminal(ABC):
    """One process in one terminal."""

    @property
    @abstractmethod
    def session_id(self) -> SessionId:
        """The session whose process this is."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """Process id, in the pid namespace of the owner."""

    @property
    @abstractmethod
    def ref(self) -> dict[str, JsonValue]:
        """The reference by which this provider finds the process again; opaque to other code."""

    @property
    def was_shut_down(self) -> bool:
        """Whether the process has ended because the machine or container shuts down.

        Its session is then ``idle``, whatever the exit status. ``False`` until the end is known
        here, and if the provider cannot tell.
        """
        return False

    @abstractmethod
    def attach(
        self,
        from_offset: int | None = None,
        mode: AttachMode = AttachMode.LOSSY,
        *,
        viewer: str | None = None,
    ) -> AbstractAsyncContextManager[Attachment]:
        """View the output, from the whole scrollback or from an absolute offset on.

        Works after the process has ended too. Bytes before the oldest kept one are a
        :class:`Gap`: the attachment then starts at the oldest.

        With ``Capability.QUERIES``, a query of the process to its terminal is answered once. The
        attachment of the viewer that owns the size yields it, the latest one whose window the
        process has, and that viewer writes the answer of its terminal; without such a viewer, the
        provider answers. Everywhere else, in snapshots and after gaps too, it is replaced by a
        sequence of the same length that has no effect, so offsets stay as they are.

        Args:
            from_offset: the first byte to see; the oldest that is kept by default.
            mode: what happens if this viewer is slower than the output.
            viewer: the name under which it calls :meth:`resize`, if it answers queries.
        """

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send all of ``data`` to the process as input; concurrent writes are not interleaved.

        Raises:
            TerminalClosedError: the process has ended.
            LineTooLongError: a line is longer than a canonical-mode terminal keeps.
            TerminalBusyError: the process did not read within a bounded time.
        """

    @abstractmethod
    async def resize(self, viewer: str, size: Size) -> None:
        """Set the size of the window of ``viewer``.

        The latest size of all viewers holds, or another one by a setting of the provider. A viewer
        that only watches need not set one.

        Raises:
            TerminalClosedError: the process has ended.
            ValueError: a dimension is not within 1 to 65535.
        """

    async def leave(self, viewer: str) -> None:
        """Forget the size of the window of ``viewer``, which has detached."""
        return

    async def screen(self, size: Size | None = None) -> Screen | None:
        """Return what the terminal shows now; ``None`` if the provider cannot tell.

        The result depends on the whole output, also on what the scrollback no longer holds; its
        length depends on the size only.

        Args:
            size: the size of the terminal that will show it; that of the process by default. Of a
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

        Returns when the process has ended and its output is drained; at once if it has ended
        already.
        """

    @abstractmethod
    async def exited(self) -> ExitStatus:
        """Wait for the process to end; every caller gets the same answer.

        Once the end is known here it returns without waiting, even within an expired deadline.
        """

    @abstractmethod
    async def drained(self) -> None:
        """Wait until all output has been read, and no more can follow."""

    async def collect(self) -> None:
        """Note that the exit status is stored durably; called once the output is drained.

        A provider whose processes outlive their host need not keep the exit status any longer.
        """
        return

    def detach(self) -> None:
        """Release the resources of this host for the process, which continues; end its viewers.

        Called when another host may run the process by now. Does nothing if the process ends with
        its host.
        """
        return

    async def departed(self, seen: int = 0) -> int:
        """Wait until more than ``seen`` other hosts have detached; return how many have.

        Counted since this host adopted the process. Never returns if the provider cannot see other
        hosts.

        Raises:
            TerminalClosedError: the process has ended.
        """
        await sleep_forever()
        return seen

    def direct(self) -> Direct | None:
        """Return where a client can view and write without this host; ``None`` if it cannot.

        Such a client goes on while the host restarts.
        """
        return None

    async def foreground(self) -> Foreground | None:
        """Return the foreground processes now; ``None`` if they are unknown."""
        return None


class TerminalSpawner(ABC):
    """Starts processes in terminals.

    Without ``Capability.ADOPT`` closing the provider ends them, because no host could adopt them.
    """

    @abstractmethod
    async def spawn(self, request: SpawnRequest) -> Terminal:
        """Start a process as leader of its own session with its own controlling terminal.

        Its environment contains ``FRITH_SESSION_ID`` and ``FRITH_WORKSPACE``. If the call fails or
        is cancelled, no process is left. A process that stops (SIGSTOP) is continued with its
        process group: it leads its session, so there is no shell that could continue it.

        Raises:
            CommandNotFoundError: the command does not exist or may not be executed.
            WorkingDirectoryError: ``cwd`` cannot be entered.
            SpawnError: anything else.
        """

    @abstractmethod
    async def sweep(self, session: Session, grace: float) -> SweepReport:
        """End what a dead host left running for ``session``.

        A process is recognized by its environment, start time and boot, never by its pid alone.
        Only called while this process holds the claim on the session.
        """

    async def adopt(self, session: Session) -> Terminal | None:
        """Return the terminal of ``session`` that another host started; ``None`` if there is none.

        No output is lost. A process that ended without a host is returned, too, with its exit
        status, until that is collected. Several hosts may adopt it at once; only the host that
        holds the claim on the session calls ``terminate`` and ``collect``. Requires
        ``Capability.ADOPT``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "adopt")

    async def recall(self, session: Session) -> Terminal | None:
        """Return the last terminal of ``session``, whose end was collected, for its output.

        ``None`` if no output is kept, or the session has had another process since. Requires
        ``Capability.RECALL``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "recall")

    async def forget(self, session_id: SessionId) -> None:
        """Remove the output that is kept of a session, if any. Requires ``Capability.RECALL``."""
        raise UnsupportedCapabilityError(type(self).__qualname__, "recall")

    async def kept(self) -> dict[SessionId, int]:
        """Return the process ids of all sessions of the workspace with a process to adopt.

        Also of those that have no record. Requires ``Capability.ADOPT``.
        """
        raise UnsupportedCapabilityError(type(self).__qualname__, "adopt")

    async def warnings(self) -> tuple[str, ...]:
        """Return what threatens processes that are started now, and what the user can do."""
        return ()
