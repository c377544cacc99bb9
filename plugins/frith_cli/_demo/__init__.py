"""``frith demo``: the whole story of a session in seconds, every claim checked."""

from __future__ import annotations

from functools import partial

import click


@click.command()
@click.option("--keep", is_flag=True, help="Keep the temporary folder, and say where it is.")
def demo(keep: bool) -> int:
    """Show that sessions survive a killed host and a damaged file.

    Needs no repository and no terminal: it works in a temporary folder.
    """
    from frith_cli._demo.story import tell
    from frith_cli._guard import drive

    return drive(partial(tell, keep=keep))
