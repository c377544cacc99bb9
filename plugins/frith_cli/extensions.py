"""Commands of other distributions, from the entry-point group ``frith.commands``.

An entry point names a command and points to a :class:`click.Command`. It is imported only when
the command is called or listed. A command that cannot be loaded is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.metadata import EntryPoint, entry_points
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any

import click

from frith_cli.context import App

if TYPE_CHECKING:
    from frith import PluginRecord

GROUP = "frith.commands"


def names(built_in: Collection[str]) -> list[str]:
    """Return the names of the commands, without those of ``built_in`` commands."""
    return sorted({entry.name for entry in entry_points(group=GROUP)}.difference(built_in))


def find(name: str, options: Mapping[str, Any]) -> click.Command | None:
    """Return the command ``name``, or ``None`` if no distribution has it.

    The setting ``blocked_plugins`` is read with the ``options`` that precede the name.
    """
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        return None
    from frith.errors import FrithError
    from frith_cli.config import settings_of

    app = App()
    app.take(options)
    try:
        return _load(found, settings_of(app, anywhere=True).config.blocked_plugins)
    except FrithError as error:
        return _unavailable(name, error)


def ignored(built_in: Collection[str]) -> list[tuple[str, str]]:
    """Return the commands that are named as ``built_in`` ones, with the reason."""
    return [
        (entry.name, _taken(entry)) for entry in entry_points(group=GROUP) if entry.name in built_in
    ]


def records(built_in: Collection[str], blocked: Collection[str]) -> list[PluginRecord]:
    """Return the state of each command, as of a plugin that provides ``command:NAME``."""
    from frith import PluginRecord, PluginState
    from frith.errors import PluginError

    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    result = []
    for entry in found:
        reason = _taken(entry) if entry.name in built_in else ""
        try:
            if not reason:
                _load([each for each in found if each.name == entry.name], blocked)
        except PluginError as error:
            reason = str(error)
        state = PluginState.FAILED if reason else PluginState.LOADED
        if entry.name in blocked:
            state = PluginState.BLOCKED
        version = entry.dist.version if entry.dist else ""
        offers = () if reason else (f"command:{entry.name}",)
        result.append(
            PluginRecord(entry.name, _distribution(entry), version, state, reason, offers)
        )
    return result


def _load(found: list[EntryPoint], blocked: Collection[str]) -> click.Command:
    """Import a command.

    Raises:
        PluginError: it is blocked, several distributions have it, it cannot be imported, or it is
            not a click command.
    """
    from frith.errors import PluginError

    name = found[0].name
    label = f"The command {name!r} of {' and '.join(map(_distribution, found))}"
    if name in blocked:
        raise PluginError(f"{label} is blocked.")
    if len(found) > 1:
        raise PluginError(f"{label} is ambiguous. Uninstall one of them.")
    try:
        command = found[0].load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = format_exception_only(error)[-1].strip()
        raise PluginError(f"{label} cannot be imported: {reason}") from error
    if not isinstance(command, click.Command):
        raise PluginError(f"{label} is not a click command: {command!r}")
    return command


def _unavailable(name: str, error: Exception) -> click.Command:
    """Return a command that takes any arguments and raises ``error``."""
    from frith.logs import printable

    def fail() -> None:
        raise error

    return click.Command(
        name,
        callback=fail,
        short_help=printable(str(error)),
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


def _taken(entry: EntryPoint) -> str:
    return f"{_distribution(entry)} cannot replace a built-in command."


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown distribution"
