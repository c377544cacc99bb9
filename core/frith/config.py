"""The configuration of a manager. The host builds it; the library reads no files for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from frith._immutable import frozen
from frith.errors import ConfigurationError

_Model = TypeVar("_Model", bound=BaseModel)

NO_STATUS = "none"
"""The value of :attr:`ManagerConfig.status` for no status detection."""


def validated(model: type[_Model], values: Mapping[str, Any], prefix: str = "") -> _Model:
    """Return ``values`` as a ``model``.

    Raises:
        ConfigurationError: a key is unknown (it names the nearest known one) or a value wrong;
            ``prefix`` is put before its key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in (*filter(None, [prefix]), *first["loc"]))
        if first["type"] == "extra_forbidden":
            known = [field.alias or name for name, field in model.model_fields.items()]
            raise ConfigurationError(key, "unknown key", known=known) from error
        raise ConfigurationError(key or model.__name__, first["msg"]) from error


def _absolute(value: Any) -> Any:
    if not isinstance(value, str | Path) or not Path(value).is_absolute():
        raise ValueError(f"must be an absolute path, not {str(value)!r}")
    return Path(value)


class Options(BaseModel):
    """Base of a provider's or plugin's own configuration model: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ManagerConfig(Options):
    """The settings of a :class:`~frith.SessionManager`. Frozen; unknown keys are refused."""

    workspace: Annotated[Path, BeforeValidator(_absolute)]
    """Absolute path of the repository whose sessions are managed."""
    store: str = "json"
    """Name of the store provider."""
    workspace_provider: str = "git"
    """Name of the workspace provider."""
    recovery: str = "git"
    """Name of the recovery provider."""
    terminal: str = "pty"
    """Name of the terminal provider."""
    status: str = "status"
    """Name of the status provider, or ``none``: then a session is ``active`` while its process
    runs, unless another status is reported."""
    max_sessions: Annotated[int, Field(ge=1)] = 4
    """The maximum number of sessions in the workspace."""
    command: tuple[str, ...] | None = None
    """Default command of a session; ``None`` for the user's login shell."""
    terminate_grace: Annotated[float, Field(ge=0)] = 5.0
    """Seconds between SIGTERM and SIGKILL."""
    hook_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds that one plugin's lifecycle hook may take."""
    broken_creating_hook: Literal["proceed", "refuse"] = "proceed"
    """Whether a creation goes on when a hook that may veto it fails or takes too long."""
    blocked_plugins: frozenset[str] = frozenset()
    """Names of plugins that are not imported."""
    options: Annotated[Mapping[str, Mapping[str, Mapping[str, Any]]], AfterValidator(frozen)] = (
        Field(default_factory=lambda: frozen({}))
    )
    """Options of providers and plugins: ``{"store": {"json": {…}}, "plugin": {"log": {…}}}``.
    The first key is a role, or ``plugin`` for a plugin's own."""

    @classmethod
    def of(cls, **values: Any) -> ManagerConfig:
        """Return a configuration of ``values``.

        Raises:
            ConfigurationError: a key is unknown or a value wrong.
        """
        return validated(cls, values)

    def plugin_options(self, plugin: str, model: type[_Model]) -> _Model:
        """Return the options of the plugin called ``plugin`` as a ``model``.

        Raises:
            ConfigurationError: a key is unknown or a value wrong.
        """
        return self.section("plugin", plugin, model)

    def section(self, kind: str, name: str, model: type[_Model]) -> _Model:
        """Return ``options[kind][name]`` as a ``model``, its defaults if there is none.

        Raises:
            ConfigurationError: a key is unknown or a value wrong.
        """
        values = self.options.get(kind, {}).get(name, {})
        return validated(model, values, f"options.{kind}.{name}")
