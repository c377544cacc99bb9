"""Names of sessions and of the branches that go with them."""

from __future__ import annotations

import re
from datetime import date

from frith.errors import InvalidNameError

LONGEST = 50
"""The maximum number of characters in the name of a session."""

_NAME = re.compile(rf"[a-zA-Z0-9-]{{1,{LONGEST}}}")


def check_name(name: str) -> str:
    """Return ``name`` if it is a valid session name.

    Raises:
        InvalidNameError: it does not match ``[a-zA-Z0-9-]{1,50}`` as a whole.
    """
    if not _NAME.fullmatch(name):
        raise InvalidNameError(name)
    return name


def branch_of(name: str) -> str:
    """Return the default branch of a session called ``name``."""
    return f"feature/{name}"


def generated_name(day: date, number: int) -> str:
    """Return ``feature-YYYY-MM-DD-NNN`` for a UTC ``day`` and a ``number`` from 1."""
    return f"feature-{day.isoformat()}-{number:03d}"
