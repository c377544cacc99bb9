"""Where a keeper is found, and what it leaves: in directories that only its user may enter."""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress

from . import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BACKLOG = 64
_LONGEST = 80
"""Characters of a name: hosts must be able to connect to it, see :func:`at`."""


class UnsafeDirectoryError(Exception):
    """Somebody else could put something in the directory's place."""


def open_directory(path: str) -> int:
    """Return a descriptor of the directory, made if need be; nobody else may enter it.

    Raises:
        UnsafeDirectoryError: it is another user's, or no directory.
        OSError: it cannot be made or opened.
    """
    os.makedirs(path, mode=0o700, exist_ok=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _shut_others_out(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _shut_others_out(fd: int, path: str) -> None:
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        raise UnsafeDirectoryError(f"{path!r} belongs to another user")
    if stat.S_IMODE(found.st_mode) != 0o700:
        os.fchmod(fd, 0o700)


def at(directory: int, name: str) -> str:
    """Return a path to ``name`` in the directory that fits into a socket's address."""
    return f"/proc/self/fd/{directory}/{name}"


class Home:
    """The socket of one keeper, the file with the exit status of its command, and its output."""

    def __init__(self, path: str, name: str, output: str) -> None:
        """Listen as ``name`` in the directory ``path``.

        Args:
            path: where hosts look for keepers.
            name: of the socket.
            output: path of the file for the end of the output; its directory may be moved.

        Raises:
            UnsafeDirectoryError, OSError: that cannot be.
        """
        if len(name) > _LONGEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)
        self._path = path
        self._name = name
        self._output_path, self._output = output, os.path.basename(output)
        self._outputs: int | None = None
        with suppress(OSError, UnsafeDirectoryError):
            self._outputs = open_directory(os.path.dirname(output))
        self.socket = self._listening()

    def _listening(self) -> sockets.Socket:
        directory = open_directory(self._path)
        before = os.umask(0o177)
        try:
            # Everybody may read in /proc/net/unix under which name a socket was bound.
            bound = f".{os.getpid()}"
            with suppress(FileNotFoundError):
                os.unlink(bound, dir_fd=directory)
            listening = sockets.listening(at(directory, bound), _BACKLOG)
            try:
                os.rename(bound, self._name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                listening.close()
                raise
        finally:
            os.umask(before)
            os.close(directory)
        return listening

    def listen_again(self) -> None:
        """Be found again, where somebody has removed the socket or its directory."""
        with suppress(OSError, UnsafeDirectoryError):
            again = self._listening()
            self.socket.close()
            self.socket = again

    def note_exit(self, found: dict[str, Any]) -> None:
        """Write down how the command ended, for whoever comes when the keeper is gone.

        Raises:
            OSError: it cannot be written.
        """
        _replace(os.path.join(self._path, f"{self._name}.exit"), [json.dumps(found).encode()])

    def drop_output(self) -> None:
        """Remove what this process or the one before it has written."""
        for path in (self._output_path, f"{self._output_path}.tmp"):
            with suppress(OSError):
                os.unlink(path)

    def keep_output(self, about: dict[str, Any], pieces: list[memoryview]) -> None:
        """Write down the end of the output, after a line that tells ``about`` it; not durably yet.

        Raises:
            OSError: it cannot be written.
        """
        if self._outputs is not None:
            line = json.dumps(about).encode() + b"\n"
            _replace(self._output, [line, *pieces], self._outputs, durably=False)

    def sync_output(self) -> None:
        """Make what was written durable, and let its directory go."""
        if self._outputs is not None:
            with suppress(OSError):
                fd = os.open(self._output, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._outputs)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            os.close(self._outputs)
            self._outputs = None

    def leave(self, *, collected: bool) -> None:
        """Remove the socket, and the exit status if somebody has taken note of it."""
        self.socket.close()
        names = ["", ".exit.tmp", *([".exit"] if collected else [])]
        for name in names:
            with suppress(OSError):
                os.unlink(os.path.join(self._path, f"{self._name}{name}"))


def _replace(
    path: str, pieces: list[Any], directory: int | None = None, *, durably: bool = True
) -> None:
    """Put a file with ``pieces`` in the place of ``path``, which may be relative to ``directory``.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    temporary = f"{path}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(fd, rest) :]
            if durably:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
