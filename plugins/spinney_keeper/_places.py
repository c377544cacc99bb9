"""Where the keepers of a workspace are found."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spinney_keeper._errors import KeeperError
from spinney_keeper.keeper.home import at

_EXIT = ".exit"


class Places:
    """The directory of the keepers' sockets, and of the exit statuses that they leave."""

    def __init__(self, workspace: Path, directory: str | None) -> None:
        self.directory = directory or str(_home(workspace) / "keepers")

    def connect(self, name: str) -> socket.socket:
        """Connect to the keeper called ``name``; never blocks.

        Raises:
            FileNotFoundError, ConnectionRefusedError: nobody listens there.
            OSError: anything else.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            with self._entered() as directory:
                connection.connect(at(directory, name))
        except BaseException:
            connection.close()
            raise
        return connection

    def names(self, session_id: str = "") -> Iterator[str]:
        """Yield the names of the keepers that a session has, or had; by default of all."""
        with suppress(FileNotFoundError):
            found = {entry.removesuffix(_EXIT) for entry in os.listdir(self.directory)}
            beginning = f"{session_id}." if session_id else ""
            yield from sorted(name for name in found if name.startswith(beginning))

    def exit_of(self, name: str) -> bytes | None:
        """Return what a keeper has written down about the end of its process.

        What others could have written counts for nothing.
        """
        with suppress(OSError), self._entered() as directory:
            if os.fstat(directory).st_uid == os.geteuid():
                return Path(at(directory, f"{name}{_EXIT}")).read_bytes()
        return None

    @contextmanager
    def _entered(self) -> Iterator[int]:
        directory = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield directory
        finally:
            os.close(directory)

    def clear(self, name: str) -> None:
        """Remove what a keeper that is gone has left; a living one's socket stays.

        Raises:
            KeeperError: it cannot be told whether it lives; everything stays.
        """
        try:
            self.connect(name).close()
        except (FileNotFoundError, ConnectionRefusedError):
            for entry in (name, f"{name}{_EXIT}", f"{name}{_EXIT}.tmp"):
                with suppress(OSError):
                    os.unlink(os.path.join(self.directory, entry))
        except OSError as error:
            raise KeeperError(f"The keeper {name} cannot be reached: {error}.") from error


def name_of(session_id: str, terminal_id: str) -> str:
    """Return the name under which the keeper of a terminal is found."""
    return f"{session_id}.{terminal_id}"


def _home(workspace: Path) -> Path:
    git = workspace / ".git"
    if git.is_dir():
        return git / "spinney"
    with suppress(OSError):
        # A linked worktree or a submodule: gitrepository-layout(5).
        named = os.fsdecode(git.read_bytes()).rstrip("\n").removeprefix("gitdir: ")
        if (workspace / named).is_dir():
            return workspace / named / "spinney"
    return workspace / ".spinney"
