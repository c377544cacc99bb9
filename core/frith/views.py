"""Views of a session's terminal: what a person must see, one item after the other."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from frith.model import ExitStatus, SessionId
from frith.ports import Size, Terminal

_Data = TypeVar("_Data", bytes, str)


@dataclass(frozen=True, slots=True)
class Redraw(Generic[_Data]):
    """The whole screen: reset the terminal, then write :attr:`data`."""

    data: _Data
    size: Size | None
    """The size of the window of the process; ``None`` if the provider does not record sizes."""


@dataclass(frozen=True, slots=True)
class Output(Generic[_Data]):
    """Output that continues what was shown before."""

    data: _Data


@dataclass(frozen=True, slots=True)
class Ended:
    """The process has ended, and all of its output was shown."""

    exit: ExitStatus | None
    """``None`` if it cannot be known."""


Shown: TypeAlias = Redraw[_Data] | Output[_Data] | Ended


class View(ABC, AsyncIterator["Shown[bytes]"]):
    """One viewer of a session's terminal; see :meth:`frith.SessionManager.view`.

    Iterating it yields first a :class:`Redraw`, then :class:`Output` and again a :class:`Redraw`
    whenever output alone would be wrong: after a gap, at another size, after another host has taken
    over. While the process has another size than this viewer, a :class:`Redraw` stands for its
    output, at most 30 times a second. Then comes :class:`Ended`. Iteration continues with the next
    process of the session, once it is resumed by any host, and ends if the session is destroyed.

    One task at a time may iterate it. If it is cancelled while waiting, the next item is a
    :class:`Redraw`.
    """

    session_id: SessionId
    viewer: str
    """The name of this viewer."""
    size: Size | None
    """The size of this viewer's window; ``None`` if it takes that of the process."""
    terminal: Terminal
    """The terminal that is shown now."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send all of ``data`` to the process as input.

        Raises:
            ReadOnlyViewError: the view is read-only.
            TerminalClosedError: the process has ended.
            LineTooLongError: a line is longer than a canonical-mode terminal keeps.
            TerminalBusyError: the process did not read within a bounded time.
        """

    @abstractmethod
    async def resize(self, size: Size) -> None:
        """Set the size of this viewer's window, for the next processes, too; redraw.

        The process gets it unless the view is read-only.

        Raises:
            ValueError: a dimension is not within 1 to 65535.
        """

    @abstractmethod
    def redraw(self) -> None:
        """Let a :class:`Redraw` be the next item, because the viewer's terminal was used."""

    def text(self) -> AsyncIterator[Shown[str]]:
        """Return an iterator that decodes UTF-8, also characters that are split between items."""
        return _Text(self)


class _Text(AsyncIterator["Shown[str]"]):
    def __init__(self, view: View) -> None:
        self._view = view
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    async def __anext__(self) -> Shown[str]:
        shown = await anext(self._view)
        if isinstance(shown, Output):
            return Output(self._decoder.decode(shown.data))
        self._decoder.reset()
        if isinstance(shown, Redraw):
            return Redraw(self._decoder.decode(shown.data), shown.size)
        return shown
