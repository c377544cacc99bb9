"""The options of the terminal provider `keeper`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from frith_terminals.options import TerminalOptions


class KeeperOptions(TerminalOptions):
    """The options of the provider `keeper`."""

    directory: str | None = None
    """Directory of the keepers' sockets, relative to the workspace. By default ``frith/keepers`` in
    its git directory, and without one ``.frith/keepers`` in the workspace."""
    answer_timeout: Annotated[float, Field(gt=0)] = 5.0
    """Seconds within which a keeper must answer."""
    linger: Annotated[float, Field(ge=0)] = 86400.0
    """Seconds that a keeper whose process has ended waits for a host to record that, with the
    output; after that only the exit status is kept."""
