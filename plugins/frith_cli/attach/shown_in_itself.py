"""Detects that a terminal shows itself: a session attached within itself, also through others.

The output of a session is shown in a terminal. If that terminal is itself part of the session's
output, everything comes back and is shown again, without end. So the command writes a mark to its
terminal, a sequence that terminals ignore. If the mark appears in the session's output, there is
such a loop.
"""

from __future__ import annotations

import re
from uuid import uuid4

from anyio import current_time

from frith import FrithError, Session
from frith_cli.workspace import SESSION_ID

# An operating system command (OSC) with an unused number, which terminals ignore.
_BEGIN = b"\x1b]7709;"
_MARK = re.compile(rb"\x1b\]7709;[0-9a-f]{32}\x07")
_LENGTH = len(_BEGIN) + 32 + 1
_SECONDS = 5.0
"""How long a mark is written; it is looked for twice as long."""


class ShownInItselfError(FrithError):
    """The terminal of a session would be shown in that session."""

    code = "SHOWN_IN_ITSELF"

    def __init__(self, session: Session, *, by_variable: bool = False) -> None:
        hint = f" If it is outside, unset {SESSION_ID}." if by_variable else ""
        super().__init__(
            f"{session.name} cannot be shown here: this terminal is shown in that session, so "
            f"its output would repeat without end. Use a terminal outside of it.{hint}"
        )
        self.session_id = session.id


def without_marks(scrollback: bytes) -> bytes:
    """Return ``scrollback`` without marks: old ones, shown again, would report loops that ended."""
    return _MARK.sub(b"", scrollback) if _BEGIN in scrollback else scrollback


class Mark:
    """The mark of one terminal, and the search for it in the output of ``session``.

    Both end after some seconds, so that the terminal that closes a loop later is refused, not this
    one.
    """

    def __init__(self, session: Session) -> None:
        self._own = _BEGIN + uuid4().hex.encode() + b"\x07"
        self._session = session
        self._end = b""
        self._until = current_time() + _SECONDS

    @property
    def sequence(self) -> bytes:
        """What to write to the terminal, again whenever output may have been missed."""
        return self._own if current_time() < self._until else b""

    def look(self, output: bytes) -> bytes:
        """Return the marks of other terminals in ``output``, which may end within a mark.

        They must be shown where ``output`` is shown, because another loop may pass through here.

        Raises:
            ShownInItselfError: ``output`` contains this mark.
        """
        output = self._end + output
        self._end = output[1 - _LENGTH :]
        if _BEGIN not in output:
            return b""
        found = _MARK.findall(output)
        if self._own in found and current_time() < self._until + _SECONDS:
            raise ShownInItselfError(self._session)
        if found:
            self._end = output[output.rfind(found[-1]) + _LENGTH :][1 - _LENGTH :]
        return b"".join(found)
