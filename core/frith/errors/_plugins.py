"""Errors of configuration, plugins and platforms."""

from __future__ import annotations

from collections.abc import Sequence

from frith.errors._root import FrithError, did_you_mean, nearest


class ConfigurationError(FrithError):
    """A configuration value is wrong, or its key is unknown.

    Attributes:
        key: dotted key that is wrong.
        suggestion: the known key nearest to it, if one is near.
    """

    code = "CONFIGURATION"
    suggestion: str | None
    key: str
    reason: str

    def __init__(self, key: str, reason: str, *, known: Sequence[str] = ()) -> None:
        self.suggestion = nearest(key.rpartition(".")[2], known)
        hint = f" Known: {', '.join(sorted(known))}." if known else ""
        if self.suggestion:
            hint = f" Did you mean {self.suggestion!r}?"
        super().__init__(f"Configuration {key!r}: {reason}.{hint}")
        self.key = key
        self.reason = reason


class PluginError(FrithError):
    """Root of the errors of plugins and their providers."""

    code = "PLUGIN_FAILED"


class ProviderNotFoundError(PluginError):
    """The configuration names a provider that no loaded plugin offers."""

    code = "PROVIDER_NOT_FOUND"
    role: str
    name: str
    available: tuple[str, ...]
    reason: str

    def __init__(self, role: str, name: str, available: Sequence[str], reason: str = "") -> None:
        offered = ", ".join(sorted(available)) or "none"
        why = f" {reason}." if reason else ""
        super().__init__(
            f"There is no {role} provider {name!r}; available: {offered}.{why}"
            f"{did_you_mean(name, available)} Install the plugin that offers it, or choose another."
        )
        self.role = role
        self.name = name
        self.available = tuple(available)
        self.reason = reason


class DuplicateProviderError(PluginError):
    """Two plugins offer a provider of the same role and name."""

    code = "DUPLICATE_PROVIDER"
    role: str
    name: str
    distributions: tuple[str, ...]

    def __init__(self, role: str, name: str, distributions: Sequence[str]) -> None:
        super().__init__(
            f"The {role} provider {name!r} is offered by {' and '.join(distributions)}. "
            "Uninstall or block one of them."
        )
        self.role = role
        self.name = name
        self.distributions = tuple(distributions)


class ProviderCycleError(PluginError):
    """Providers wrap each other in a circle."""

    code = "PROVIDER_CYCLE"
    chain: tuple[str, ...]

    def __init__(self, chain: Sequence[str]) -> None:
        super().__init__(
            f"Providers open each other in a circle: {' -> '.join(chain)}. "
            "Let one of them open another provider."
        )
        self.chain = tuple(chain)


class ProviderFailedError(PluginError):
    """A provider could not be opened, failed in the background, or raised an unexpected exception.

    Attributes:
        ended: whether the provider has ended; if not, only one call of it has failed.
    """

    code = "PROVIDER_FAILED"
    ended: bool
    role: str
    name: str
    reason: str

    def __init__(self, role: str, name: str, reason: str, *, ended: bool = True) -> None:
        again = "reopen the manager" if ended else "try again"
        super().__init__(
            f"The {role} provider {name!r} failed: {reason}. Fix the cause, then {again}."
        )
        self.ended = ended
        self.role = role
        self.name = name
        self.reason = reason


class UnsupportedCapabilityError(PluginError):
    """An optional method of a provider was called that its capabilities do not declare."""

    code = "UNSUPPORTED_CAPABILITY"
    provider: str
    capability: str

    def __init__(self, provider: str, capability: str) -> None:
        super().__init__(
            f"{provider} does not support {capability!r}. Use a provider that declares it."
        )
        self.provider = provider
        self.capability = capability


class UnsupportedPlatformError(FrithError):
    """The platform lacks something that is required."""

    code = "UNSUPPORTED_PLATFORM"
    what: str
    platform: str

    def __init__(self, what: str, platform: str) -> None:
        super().__init__(f"{what} does not work on {platform}. Use a different provider.")
        self.what = what
        self.platform = platform
