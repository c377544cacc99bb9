"""Noticing that a terminal shows itself: a session attached to itself, or to one that shows it.

What is shown in the terminal of a session is output of that session. If this terminal is shown in
the session that is to be shown here, everything comes back, and is shown again, without end. So a
mark is written to this terminal, which no terminal displays; in the output of a session it can be
found only if there is such a loop, however long that is.
"""

from __future__ import annotations

import re
from uuid import uuid4

from anyio import current_time

from frith import FrithError, Session
from frith_cli._workspace import SESSION_ID

# An operating system command of a number that is not in use: terminals pass over those.
_BEGIN = b"\x1b]7709;"
_MARK = re.compile(rb"\x1b\]7709;[0-9a-f]{32}\x07")
_LENGTH = len(_BEGIN) + 32 + 1
_SECONDS = 5.0
"""More than a mark takes to come back; it is looked for as long again."""


class ShownInItselfError(FrithError):
    """The terminal of a session was to be shown in that very session."""

    code = "SHOWN_IN_ITSELF"

    def __init__(self, session: Session, *, by_variable: bool = False) -> None:
        hint = f" If this is one, unset {SESSION_ID}." if by_variable else ""
        super().__init__(
            f"{session.name} cannot be shown here: this terminal is shown in that session, so "
            f"all output would come back to it without end. Use a terminal outside of it.{hint}"
        )
        self.session_id = session.id


def without_marks(scrollback: bytes) -> bytes:
    """Return ``scrollback`` without marks: shown again, old ones would tell of loops that are not.

    They are of this command, not of the program that runs in the session.
    """
    return _MARK.sub(b"", scrollback) if _BEGIN in scrollback else scrollback


class Mark:
    """The mark of one terminal, and the search for it in the output that is to be shown there.

    Both for some seconds: of a loop the terminal is to be refused that has closed it.
    """

    def __init__(self, session: Session) -> None:
        """Look for it in the output of ``session``."""
        self._own = _BEGIN + uuid4().hex.encode() + b"\x07"
        self._session = session
        self._end = b""
        self._until = current_time() + _SECONDS

    @property
    def sequence(self) -> bytes:
        """What is to be written to the terminal, again whenever some output may be missed."""
        return self._own if current_time() < self._until else b""

    def look(self, output: bytes) -> bytes:
        """Return the marks of other terminals in ``output``, which may end within one.

        They belong where ``output`` is shown: another loop may lead through here.

        Raises:
            ShownInItselfError: it holds this one.
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
