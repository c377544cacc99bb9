"""Promises: what each standard test shows, of which providers, since when, at what cost."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from frith.providers import Capability

SUITE_VERSION = "1.1"
"""Version of the suites, ``MAJOR.MINOR``. A broken promise only warns in the minor version that
introduced it and fails from the next one on."""
QUICK, SLOW = 0.2, 1.0
"""Seconds that a test of a promise takes unless stated otherwise, and from which it is slow."""

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Promise:
    """What a standard test shows, and for which providers."""

    since: str = "1.0"
    """Version of the suites that introduced it."""
    needs: Capability | None = None
    """It is tested only if the provider declares this capability."""
    without: Capability | None = None
    """It is tested only if the provider does not declare this capability."""
    seconds: float = QUICK
    """Seconds that one of its tests takes on a machine with nothing else to do."""

    @property
    def is_new(self) -> bool:
        """Whether breaking it is still only a warning."""
        return self.since == SUITE_VERSION != "1.0"

    @property
    def is_slow(self) -> bool:
        """Whether it runs after the quick ones, and not at all with ``--frith-quick``."""
        return self.seconds >= SLOW


def promise(
    *,
    since: str = "1.0",
    needs: Capability | None = None,
    without: Capability | None = None,
    seconds: float = QUICK,
) -> Callable[[T], T]:
    """Mark a standard test: see :class:`Promise`."""

    def mark(test: T) -> T:
        test.__promise__ = Promise(since, needs, without, seconds)  # type: ignore[attr-defined]
        return test

    return mark


def promise_of(test: object) -> Promise:
    """Return the promise that ``test`` is marked with, or a plain one."""
    return cast("Promise", getattr(test, "__promise__", Promise()))


@dataclass(frozen=True, slots=True)
class Deviation:
    """A standard test that is known to fail."""

    reason: str


def deviation(reason: str) -> Any:
    """State that a provider does not keep a promise, and why.

    Assign it to the name of the standard test. The test then runs as a strict expected failure: it
    must fail, and the report has the reason. ::

        class TestMine(StoreConformance):
            test_a_corrupt_store_is_reported_until_it_is_replaced = deviation("It has no checksum.")

    Raises:
        TypeError: the reason is empty or not a string.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError("a deviation needs a reason: deviation('It has no checksum.')")
    return Deviation(reason)


def expected_failure(test: FunctionType, reason: str) -> FunctionType:
    """Return a copy of ``test`` that must fail."""
    copy = FunctionType(
        test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__
    )
    copy.__kwdefaults__ = test.__kwdefaults__
    copy.__dict__.update(test.__dict__)
    copy.__doc__ = test.__doc__
    copy.__annotations__ = inspect.get_annotations(test)
    copy.__deviation__ = reason  # type: ignore[attr-defined]
    return pytest.mark.xfail(reason=reason, strict=True)(copy)
