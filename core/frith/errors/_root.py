"""The root of all errors."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, ClassVar


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the one of ``known`` that ``word`` most probably meant, or ``None``."""
    found = get_close_matches(word, known, n=1)
    return found[0] if found else None


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a question to append to a message, empty if nothing is near."""
    guess = nearest(word, known)
    return f" Did you mean {guess!r}?" if guess else ""


class FrithError(Exception):
    """Root of all errors of frith.

    Attributes:
        code: stable, upper-case identifier for programs; never reworded once released.
    """

    code: ClassVar[str] = "FRITH_ERROR"

    def to_record(self) -> dict[str, Any]:
        """Return the error as a JSON object: ``code``, ``message`` and its attributes."""
        from frith.records import error_record

        return error_record(self)

    @classmethod
    def record_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of :meth:`to_record`; the class annotates its attributes."""
        from frith.records import error_schema

        return error_schema(cls, cls.code)


class SessionError(FrithError):
    """Base of errors about one session. The message names the session.

    Attributes:
        session_id: the session.
        session_name: its name, if no other session has the same; the message has it then.
    """

    code = "SESSION_FAILED"
    session_id: str | None
    session_name: str | None

    def __init__(self, message: str, session_id: str | None) -> None:
        """Keep the message; ``{session}`` in it stands for the session."""
        super().__init__(message)
        self.session_id = session_id
        self.session_name = None

    def __str__(self) -> str:
        named = repr(self.session_name) if self.session_name else str(self.session_id)
        return str(self.args[0]).replace("{session}", named)
