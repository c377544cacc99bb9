"""The settings of the command: files, overridden by the environment, overridden by flags.

Each place that sets something is a :class:`Layer`; a later layer overrides an earlier one key by
key. An error names the layer that is wrong.
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from frith.config import ManagerConfig
from frith.errors import ConfigurationError, InvalidWorkspaceError
from frith_cli.context import App
from frith_cli.workspace import find_workspace

_DETACH_KEY = "Ctrl-]"
_TERMINAL = "keeper"
"""The command ends, but the processes that it starts must not."""
_CONTROL_KEY = re.compile(r"(?:ctrl-|\^)([@-_a-z])", re.IGNORECASE)

KEYS = (*(name for name in ManagerConfig.model_fields if name != "workspace"), "detach_key")
"""The keys of ``[tool.frith]``, ``.frith.toml`` and ``--set``."""

_PREFIX = "FRITH_"
VARIABLES = {
    _PREFIX + ("DISABLE_PLUGINS" if key == "blocked_plugins" else key.upper()): key for key in KEYS
}
"""The environment variables, and the key that each sets."""

_OTHER_VARIABLES = ("FRITH_WORKSPACE", "FRITH_SESSION_ID")

PATHS = frozenset({"file", "directory", "locks"})
"""Names of options that hold a path where frith writes. A file of the repository may set them only
to paths in the workspace, because the repository may be a clone of somebody else's."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings from one place."""

    source: str
    """The place, for messages: a path, a variable, a flag."""
    values: Mapping[str, Any]

    def sets(self, key: str) -> bool:
        """Return whether this layer sets the dotted ``key``, or a value that contains it."""
        value: Any = self.values
        for part in key.split("."):
            if not isinstance(value, Mapping):
                break  # the rest of the key lies within a value that is set here
            if part not in value:
                return False
            value = value[part]
        return True


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of the manager, and what only the command needs."""

    config: ManagerConfig
    detach_key: bytes
    """What a terminal sends for the key."""
    layers: tuple[Layer, ...] = ()

    def blame(self, error: ConfigurationError) -> ConfigurationError:
        """Return ``error`` with the place that set its key in front of the message."""
        return _blamed(error, self.layers)


def settings_of(app: App, *, anywhere: bool = False) -> Settings:
    """Return the settings of the workspace, which are read once.

    With ``anywhere``, the current directory is used where there is no repository.

    Raises:
        InvalidWorkspaceError: there is no workspace.
        ConfigurationError: a setting is wrong.
    """
    if app.settings is None:
        try:
            workspace = find_workspace(app.workspace, os.environ)
        except InvalidWorkspaceError:
            if app.workspace or not anywhere:
                raise
            workspace = find_workspace(os.curdir, os.environ)
        app.settings = read_settings(workspace, os.environ, app.flags)
    return app.settings


def read_settings(
    workspace: Path, environ: Mapping[str, str], flags: Sequence[tuple[str, str, str]] = ()
) -> Settings:
    """Return the settings for ``workspace``, an absolute path.

    ``flags`` are the flags as written, their dotted keys, and their values.

    Raises:
        ConfigurationError: a file cannot be read, a key is unknown or a value is wrong.
    """
    files = tuple(_of_files(workspace))
    layers = (
        *files,
        *_of_environment(environ),
        *(Layer(written, _nested(key, _parsed(value))) for written, key, value in flags),
    )
    values: dict[str, Any] = {"terminal": _TERMINAL}
    for layer in layers:
        try:
            shaped = {key: _shaped(key, value) for key, value in layer.values.items()}
            if layer in files:
                _check_paths(workspace, "options", shaped.get("options"))
        except ConfigurationError as error:
            raise _blamed(error, (layer,)) from error
        values = _merged(values, shaped)
    try:
        detach_key = _control_key(values.pop("detach_key", _DETACH_KEY))
        config = ManagerConfig.of(workspace=workspace, **values)
    except ConfigurationError as error:
        raise _blamed(error, layers) from error
    return Settings(config, detach_key, layers)


def _of_files(workspace: Path) -> Iterable[Layer]:
    own, project = workspace / ".frith.toml", workspace / "pyproject.toml"
    found = [Layer(str(own), _read(own))] if own.exists() else []
    if project.exists():
        table = _read(project).get("tool", {}).get("frith")
        if table is not None and not isinstance(table, dict):
            raise ConfigurationError("tool.frith", f"{project} must have a table there")
        found += [Layer(f"{project} [tool.frith]", table)] if table is not None else []
    if len(found) > 1:
        raise ConfigurationError(
            "tool.frith", f"both {own} and {project} configure frith; keep one of them"
        )
    return found


def _check_paths(workspace: Path, key: str, value: Any) -> None:
    """Refuse a path outside ``workspace``, also one that leads out of it by a symbolic link."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _check_paths(workspace, f"{key}.{name}", inner)
    elif key.rpartition(".")[2] in PATHS and isinstance(value, str) and "\0" not in value:
        real = os.path.realpath(workspace)
        if not Path(os.path.realpath(os.path.join(real, value))).is_relative_to(real):
            raise ConfigurationError(
                key,
                f"a file of the repository must not name a path outside it, {value!r}; "
                "use --set or FRITH_OPTIONS",
            )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():  # opening a FIFO would block
        raise ConfigurationError(str(path), "is not a regular file")
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(str(path), f"cannot be read: {error}") from error


def _of_environment(environ: Mapping[str, str]) -> Iterable[Layer]:
    for variable, value in environ.items():
        if variable in VARIABLES:
            if value:
                key = VARIABLES[variable]
                values = {key: _parsed(value) if key == "options" else value}
                yield Layer(f"environment variable {variable}", values)
        elif variable.startswith(_PREFIX) and variable not in _OTHER_VARIABLES:
            # Plugins may use this prefix too: refuse only what is probably a misspelling.
            known = [name.removeprefix(_PREFIX) for name in VARIABLES]
            for meant in get_close_matches(variable.removeprefix(_PREFIX), known, 1, cutoff=0.85):
                raise ConfigurationError(variable, "unknown variable", known=[_PREFIX + meant])


def _parsed(value: str) -> Any:
    """Return ``value`` parsed as TOML (``3``, ``true``, ``["a", "b"]``), or as it is."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _nested(key: str, value: Any) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _shaped(key: str, value: Any) -> Any:
    """Check a top-level key, and split values that may be given as text."""
    if key == "workspace":
        raise ConfigurationError(key, "is not a setting; use --workspace or FRITH_WORKSPACE")
    if key not in KEYS:
        raise ConfigurationError(key, "unknown key", known=KEYS)
    if key == "command":
        try:
            value = shlex.split(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ConfigurationError(key, str(error)) from error
        if not value:
            raise ConfigurationError(key, "must not be empty")
    if key == "blocked_plugins" and isinstance(value, str):
        return [name for part in value.split(",") if (name := part.strip())]
    return value


def _control_key(name: Any) -> bytes:
    found = _CONTROL_KEY.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise ConfigurationError("detach_key", "must be a control key such as 'Ctrl-]' or '^B'")
    return bytes([ord(found[1].upper()) & 0x1F])


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}


def _blamed(error: ConfigurationError, layers: Iterable[Layer]) -> ConfigurationError:
    for layer in reversed(tuple(layers)):
        if layer.sets(error.key):
            error.args = (f"{layer.source}: {error}",)
            break
    return error
