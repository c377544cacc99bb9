"""The name of the provider or plugin under test, and its distribution."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from frith.hookspecs import ENTRY_POINT_GROUP
from frith.providers import ProviderSpec


def identity_of(subject: object, suite: type) -> dict[str, str]:
    """Return ``provider`` and ``distribution`` for the report; empty strings if not known.

    Args:
        subject: the value of the fixture of the suite; ``None`` if the test ended before it.
        suite: the test class; its attribute ``label``, if any, is the name.
    """
    if subject is None:
        return {"provider": "", "distribution": ""}
    if isinstance(subject, ProviderSpec):
        name, module = f"{subject.role.value}:{subject.name}", subject.factory.__module__
    else:
        owner = subject if isinstance(subject, ModuleType) else type(subject)
        module = getattr(owner, "__module__", owner.__name__)
        name = f"lifecycle:{owner.__name__}"
    package = module.partition(".")[0]
    return {"provider": getattr(suite, "label", name), "distribution": _distribution(package)}


@cache
def _distribution(package: str) -> str:
    """Return name and version of the distribution whose entry point is in ``package``."""
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.module.partition(".")[0] == package and entry.dist is not None:
            return f"{entry.dist.name} {entry.dist.version}"
    return "not installed"
