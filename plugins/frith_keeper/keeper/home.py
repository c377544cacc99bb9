"""The files of a keeper: its socket, the exit status and the output, for its user alone."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from functools import partial

from frith_os import atomic, private

from .sockets import Socket, at, listening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BACKLOG = 64
SIGN = "frith-keeper:"
"""Name of a file in memory that a keeper holds open, before the keeper's own."""
_LONGEST = 80
"""Characters of a name: hosts must be able to connect to it, see :func:`.sockets.at`."""
_replace = partial(atomic.replace, keep_access=False, sync_name=False)


class Home:
    """The socket of one keeper, the exit status of its command, and the end of its output.

    All are reached through descriptors, because the workspace may be moved.
    """

    def __init__(self, base: str, path: str, name: str, output: str) -> None:
        """Listen as ``name`` in the directory ``path``.

        Args:
            base: directory of the repository, without which no host finds the keeper.
            path: where hosts look for keepers.
            name: of the socket.
            output: path of the file for the end of the output.

        Raises:
            OSError: it cannot listen there.
        """
        if len(name) > _LONGEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)
        # By its name it is found even if it does not listen.
        self._sign = os.memfd_create(f"{SIGN}{name}", os.MFD_CLOEXEC)
        self._base = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._path = self._within(base, path)
        self._name = name
        self._output_path, self._output = self._within(base, output), os.path.basename(output)
        self._outputs: int | None = None
        with suppress(OSError):
            self._outputs = _open_directory(os.path.dirname(self._output_path))
        self._directory, self.socket = self._bind()

    def _within(self, base: str, path: str) -> str:
        inner = path.removeprefix(f"{base}/")
        return path if inner == path else at(self._base, inner)

    def _bind(self) -> tuple[int, Socket]:
        """Return the directory, and the socket that is bound to our name in it."""
        directory = _open_directory(self._path)
        # Every user may read in /proc/net/unix the name under which a socket was bound.
        bound = f".{os.getpid()}"
        before = os.umask(0o177)
        try:
            with suppress(FileNotFoundError):
                os.unlink(bound, dir_fd=directory)
            socket = listening(at(directory, bound), _BACKLOG)
            try:
                os.rename(bound, self._name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                socket.close()
                os.unlink(bound, dir_fd=directory)
                raise
        except BaseException:
            os.close(directory)
            raise
        finally:
            os.umask(before)
        self._place = os.stat(self._name, dir_fd=directory, follow_symlinks=False)
        return directory, socket

    def listen_again(self) -> None:
        """Listen anew: the socket or its directory was removed or replaced.

        A directory in place of the socket stays, and no host finds us.
        """
        with suppress(OSError):
            directory, again = self._bind()
            self.socket.close()
            os.close(self._directory)
            self._directory, self.socket = directory, again

    def has_its_place(self) -> bool:
        """Return whether hosts find our socket under its name."""
        try:
            found = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
            return os.path.samestat(found, self._place) and os.path.samestat(
                os.stat(self._path), os.fstat(self._directory)
            )
        except OSError:
            return False

    def is_gone(self) -> bool:
        """Return whether the repository was deleted, so that no host can ever find us."""
        try:
            return os.fstat(self._base).st_nlink == 0
        except OSError as error:
            return error.errno == errno.ESTALE  # deleted on another machine

    def note_exit(self, found: dict[str, Any]) -> None:
        """Write how the command ended, for hosts that come when the keeper is gone.

        Raises:
            OSError: it cannot be written.
        """
        content = [json.dumps(found).encode()]
        _replace(f"{self._name}.exit", content, directory=self._directory)

    def drop_output(self) -> None:
        """Remove the output of this process or the one before it."""
        for path in (self._output_path, f"{self._output_path}.tmp"):
            with suppress(OSError):
                os.unlink(path)

    def keep_output(self, about: dict[str, Any], pieces: list[memoryview]) -> None:
        """Write the end of the output, after a line ``about`` it; not durably yet.

        Raises:
            OSError: it cannot be written.
        """
        if self._outputs is not None:
            line = json.dumps(about).encode() + b"\n"
            _replace(self._output, [line, *pieces], directory=self._outputs, sync_content=False)

    def sync_output(self) -> None:
        """Make the output file durable, and close its directory."""
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
        """Remove the socket, and the exit status if a host has recorded it."""
        self.socket.close()
        names = ["", ".exit.tmp", *([".exit"] if collected else [])]
        for name in names:
            with suppress(OSError):
                os.unlink(f"{self._name}{name}", dir_fd=self._directory)


def _open_directory(path: str) -> int:
    """Return a descriptor of a directory, made if missing, that no other user may enter.

    Raises:
        OSError: it cannot be made or opened, or another user could replace it.
    """
    directory = private.open_directory(path, parents=True)
    if not private.is_trusted(directory, path):
        os.close(directory)
        raise PermissionError(errno.EPERM, "belongs to another user", path)
    return directory
