"""The options of the terminal provider `keeper`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from frith_terminals.environment import EnvironmentOptions
from frith_terminals.sizes import SizePolicy


class KeeperOptions(EnvironmentOptions):
    """How terminals of the provider `keeper` work."""

    scrollback: Annotated[int, Field(ge=4096)] = 1024 * 1024
    """Bytes of output kept for each terminal; memory is taken as output arrives."""
    write_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds within which a process must have read what is written to it."""
    size: SizePolicy = SizePolicy.LATEST
    """Whose window gives the size, of several viewers, of all hosts together."""
    directory: str | None = None
    """Directory of the keepers' sockets. By default ``frith/keepers`` in the git directory of
    the workspace, and where that is none ``.frith/keepers`` in the workspace."""
    answer_timeout: Annotated[float, Field(gt=0)] = 5.0
    """Seconds within which a keeper must answer."""
    linger: Annotated[float, Field(ge=0)] = 86400.0
    """Seconds that a keeper whose process has ended waits for a host to take note of it, with the
    output; after that only the exit status is kept."""
