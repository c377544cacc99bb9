"""The files of the keepers of a workspace."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from frith.model import SessionId
from frith_keeper.keeper.sockets import at, is_ours
from frith_keeper.link import Ended, KeeperError
from frith_os.private import is_trusted

_EXIT = ".exit"


class KeeperFiles:
    """The directory of the keepers' sockets and exit statuses, and that of sessions' output."""

    def __init__(self, workspace: Path, directory: str | None) -> None:
        home = _home(workspace)
        self.base = str(home.parent)
        """The directory without which no host finds the keepers; it may be moved."""
        self.directory = str(workspace / directory if directory else home / "keepers")
        self._outputs = home / "outputs"

    def connect(self, name: str) -> socket.socket:
        """Connect to the keeper called ``name``; never blocks.

        Raises:
            FileNotFoundError, ConnectionRefusedError: no keeper listens there.
            KeeperError: another user listens there.
            OSError: anything else.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            with _entered(self.directory) as directory:
                connection.connect(at(directory, name))
        except BaseException:
            connection.close()
            raise
        if not is_ours(connection):
            connection.close()
            raise KeeperError(f"The socket {name} belongs to another user.")
        return connection

    def names(self, session_id: str = "") -> Iterator[str]:
        """Yield the names of present and past keepers of a session; by default of all sessions."""
        with suppress(FileNotFoundError, NotADirectoryError):
            entries = os.listdir(self.directory)
            # A keeper may be writing a temporary file just now.
            found = {entry.removesuffix(".tmp").removesuffix(_EXIT) for entry in entries}
            beginning = f"{session_id}." if session_id else ""
            yield from sorted(name for name in found if name.startswith(beginning))

    def exit_of(self, name: str) -> Ended | None:
        """Return the exit status that a keeper has written; ``None`` if others could have."""
        noted = _trusted(self.directory, f"{name}{_EXIT}")
        with suppress(ValidationError):
            return Ended.model_validate_json(noted or b"")
        return None

    def output(self, session_id: SessionId) -> str:
        """Return the path of the file for the output of a session's last process."""
        return str(self._outputs / session_id)

    def output_of(self, session_id: SessionId) -> bytes | None:
        """Return the output that a keeper has written; ``None`` if others could have."""
        return _trusted(str(self._outputs), session_id)

    def forget(self, session_id: SessionId) -> None:
        """Remove the output of a session."""
        for path in (self.output(session_id), f"{self.output(session_id)}.tmp"):
            with suppress(OSError):
                os.unlink(path)

    def clear(self, name: str) -> None:
        """Remove the files of a keeper that is gone; a living one's socket stays.

        Raises:
            KeeperError: it cannot be reached, but may live; everything stays.
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


def session_of(name: str) -> SessionId:
    """Return the session of the keeper called ``name``."""
    return name.rpartition(".")[0]


def _trusted(path: str, name: str) -> bytes | None:
    with suppress(OSError), _entered(path) as directory:
        if is_trusted(directory, path):
            return Path(at(directory, name)).read_bytes()
    return None


@contextmanager
def _entered(path: str) -> Iterator[int]:
    directory = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield directory
    finally:
        os.close(directory)


def _home(workspace: Path) -> Path:
    git = workspace / ".git"
    if git.is_dir():
        return git / "frith"
    with suppress(OSError):
        # A linked worktree or a submodule: gitrepository-layout(5).
        named = os.fsdecode(git.read_bytes()).rstrip("\n").removeprefix("gitdir: ")
        if (workspace / named).is_dir():
            return workspace / named / "frith"
    return workspace / ".frith"
