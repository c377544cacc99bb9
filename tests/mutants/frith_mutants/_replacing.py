"""Replaces functions and methods while a mutant is open."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

Replacement = Callable[[Any], Any]
"""Takes the original function and returns its replacement."""

_guard = threading.Lock()


@dataclass(slots=True)
class _Replaced:
    """A replaced function, and the number of open mutants that replace it."""

    owner: Any
    attribute: str
    original: Any
    openings: int = 0


_replaced: dict[str, _Replaced] = {}


@contextmanager
def replaced(parts: Mapping[str, Replacement]) -> Iterator[None]:
    """Replace ``parts``, given as ``module:name``, until the last of the open mutants is closed."""
    with ExitStack() as stack:
        for place, replacement in parts.items():
            stack.enter_context(_one(place, replacement))
        yield


@contextmanager
def _one(place: str, replacement: Replacement) -> Iterator[None]:
    with _guard:
        part = _replaced.get(place)
        if part is None:
            owner, attribute = _located(place)
            part = _replaced[place] = _Replaced(owner, attribute, vars(owner)[attribute])
            setattr(owner, attribute, replacement(part.original))
        part.openings += 1
    try:
        yield
    finally:
        with _guard:
            part.openings -= 1
            if not part.openings:
                setattr(part.owner, part.attribute, part.original)
                del _replaced[place]


def _located(place: str) -> tuple[Any, str]:
    """Return the module or class of a function, and its name there."""
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, attribute = path.split(".")
    for name in classes:
        owner = getattr(owner, name)
    return owner, attribute
