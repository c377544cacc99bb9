"""Promises: what each standard test shows, of which providers, since when."""

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
"""Version of the suites, ``MAJOR.MINOR``. A promise that came with the present minor version warns
where it is broken; from the next one on it fails."""

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Promise:
    """What a standard test shows."""

    since: str = "1.0"
    """Version of the suites that it came with."""
    needs: Capability | None = None
    """It is tested where a provider declares this."""
    without: Capability | None = None
    """It is tested where a provider does not declare this."""

    @property
    def is_new(self) -> bool:
        """Whether to break it is only a warning yet."""
        return self.since == SUITE_VERSION != "1.0"


def promise(
    *,
    since: str = "1.0",
    needs: Capability | None = None,
    without: Capability | None = None,
) -> Callable[[T], T]:
    """Mark a standard test: see :class:`Promise`."""

    def mark(test: T) -> T:
        test.__promise__ = Promise(since, needs, without)  # type: ignore[attr-defined]
        return test

    return mark


def promise_of(test: object) -> Promise:
    """Return what ``test`` was marked with."""
    return cast("Promise", getattr(test, "__promise__", Promise()))


@dataclass(frozen=True, slots=True)
class Deviation:
    """A standard test that is known to fail."""

    reason: str


def deviation(reason: str) -> Any:
    """Say that a provider does not keep a promise, and why.

    Give it in place of the standard test, which then runs as a strict expected failure: it must
    fail, and the report tells the reason. ::

        class TestMine(StoreConformance):
            test_a_corrupt_store_is_reported_until_it_is_replaced = deviation("It has no checksum.")

    Raises:
        TypeError: no reason is given.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError("a deviation needs a reason: deviation('why it is so')")
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
