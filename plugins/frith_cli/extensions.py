"""Commands of other distributions, from the entry-point group ``frith.commands``.

An entry point names a command and points to a :class:`click.Command`. It is imported only when
the command is called or listed. A command that cannot be loaded is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Collection
from traceback import format_exception_only
from typing import TYPE_CHECKING

import click

from frith_cli.context import App

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from frith import PluginRecord


class Commands(click.Group):
    """The built-in commands, then those of other distributions."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, the built-in ones first."""
        return [*self.commands, *sorted({each.name for each in _entries()} - set(self.commands))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; the setting ``blocked_plugins`` is read with the options before it."""
        built_in = self.commands.get(cmd_name)
        if built_in or not (found := [each for each in _entries() if each.name == cmd_name]):
            return built_in
        from frith.errors import FrithError
        from frith_cli.config import settings_of

        app = App()
        app.take(ctx.params)
        try:
            return _load(found, settings_of(app, anywhere=True).config.blocked_plugins)
        except FrithError as error:
            return _unavailable(cmd_name, error)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, and those that are named as built-in ones with the reason."""
        super().format_commands(ctx, formatter)
        if ignored := [each for each in _entries() if each.name in self.commands]:
            with formatter.section("Ignored commands"):
                formatter.write_dl([(each.name, _taken(each)) for each in ignored])

    def records(self, blocked: Collection[str]) -> list[PluginRecord]:
        """Return the state of each command, as of a plugin that provides ``command:NAME``."""
        from frith import PluginRecord, PluginState
        from frith.errors import PluginError

        found, result = _entries(), []
        for entry in found:
            reason = _taken(entry) if entry.name in self.commands else ""
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


def _entries() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group="frith.commands"), key=lambda entry: entry.name)


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
