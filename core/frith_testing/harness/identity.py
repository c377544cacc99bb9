"""Who is tested: the provider's or plugin's name, and the distribution that it came with."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from frith.hookspecs import ENTRY_POINT_GROUP
from frith.providers import ProviderSpec


def identity_of(subject: object, suite: type) -> dict[str, str]:
    """Return ``provider`` and ``distribution`` for the report; empty if they are not known.

    Args:
        subject: what the fixture of the suite returned; ``None`` if the test did not get there.
        suite: the test class. Its ``label`` is the name, if it has one.
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
    """Return name and version of the distribution that announces a plugin in ``package``."""
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.module.partition(".")[0] == package and entry.dist is not None:
            return f"{entry.dist.name} {entry.dist.version}"
    return "not installed"
