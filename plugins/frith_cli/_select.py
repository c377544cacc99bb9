"""Which session the user means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from frith.errors import FrithError, InvalidNameError, SessionNotFoundError
from frith.model import Session
from frith.naming import check_name

SHORT = 8
"""How many characters of an id are shown."""
_SHORTEST_START = 4


class AmbiguousSessionError(FrithError):
    """A name or the start of an id fits several sessions."""

    code = "AMBIGUOUS_SESSION"

    def __init__(self, given: str, sessions: Sequence[Session]) -> None:
        fitting = ", ".join(f"{session.id} ({session.name})" for session in sessions)
        super().__init__(f"{given!r} may be any of {fitting}. Give the id.")
        self.given = given
        self.session_ids = tuple(session.id for session in sessions)


def called(sessions: Iterable[Session], session: Session) -> str:
    """Return what names ``session`` in a command: its name if no other has it, else its id."""
    if [each.name for each in sessions].count(session.name) == 1 and is_plain(session.name):
        return session.name
    return session.id[:SHORT]


def is_plain(name: str) -> bool:
    """Tell whether ``name`` is a valid one: a session's, edited by hand, may be none."""
    try:
        return bool(check_name(name))
    except InvalidNameError:
        return False


def select(sessions: Iterable[Session], given: str) -> Session:
    """Return the session whose id, else name, else start of the id is ``given``.

    A start has at least four characters.

    Raises:
        SessionNotFoundError: there is none.
        AmbiguousSessionError: there are several.
    """
    known = list(sessions)
    start = given.lower()
    long_enough = len(given) >= _SHORTEST_START
    for fitting in (
        [session for session in known if session.id == start],
        [session for session in known if session.name == given],
        [session for session in known if long_enough and session.id.startswith(start)],
    ):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise AmbiguousSessionError(given, fitting)
    raise SessionNotFoundError(given)
