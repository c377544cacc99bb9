"""The files of a keeper: its socket, the exit status and the output, for its user alone."""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress

from frith_os import atomic, private

from . import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_BACKLOG = 64
_LONGEST = 80
"""Characters of a name: hosts must be able to connect to it, see :func:`at`."""


class UnsafeDirectoryError(Exception):
    """Another user could replace the directory."""


def open_directory(path: str) -> int:
    """Return a descriptor of a directory, made if missing, that no other user may enter.

    Raises:
        UnsafeDirectoryError: it is another user's, or no directory.
        OSError: it cannot be made or opened.
    """
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        os.close(open_directory(parent))
    with suppress(FileExistsError):
        os.mkdir(path, private.DIRECTORY)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _restrict(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _restrict(fd: int, path: str) -> None:
    if private.is_root():
        private.give(fd, os.stat(os.path.dirname(path)))
    if not is_trusted(fd, path):
        raise UnsafeDirectoryError(f"{path!r} belongs to another user")
    if stat.S_IMODE(os.fstat(fd).st_mode) != private.DIRECTORY:
        os.fchmod(fd, private.DIRECTORY)


def is_trusted(directory: int, path: str) -> bool:
    """Return whether only this user writes in the open ``directory``, which is at ``path``.

    Root trusts the owner of the directory around it, whose repository that is: a container often
    runs as root, and gives files that it makes there to the owner.
    """
    owner = os.fstat(directory).st_uid
    return owner == os.geteuid() or (
        os.geteuid() == 0 and owner == os.stat(os.path.dirname(path)).st_uid
    )


def at(directory: int, name: str) -> str:
    """Return a path to ``name`` in the directory that fits into a socket's address."""
    return f"/proc/self/fd/{directory}/{name}"


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
            UnsafeDirectoryError, OSError: it cannot listen there.
        """
        if len(name) > _LONGEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)
        self._base = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._path = self._within(base, path)
        self._name = name
        self._output_path, self._output = self._within(base, output), os.path.basename(output)
        self._outputs: int | None = None
        with suppress(OSError, UnsafeDirectoryError):
            self._outputs = open_directory(os.path.dirname(self._output_path))
        self._directory, self.socket = self._bind()

    def _within(self, base: str, path: str) -> str:
        inner = path.removeprefix(f"{base}/")
        return path if inner == path else at(self._base, inner)

    def _bind(self) -> tuple[int, sockets.Socket]:
        """Return the directory, and the socket that is bound to our name in it."""
        directory = open_directory(self._path)
        # Every user may read in /proc/net/unix the name under which a socket was bound.
        bound = f".{os.getpid()}"
        before = os.umask(0o177)
        try:
            with suppress(FileNotFoundError):
                os.unlink(bound, dir_fd=directory)
            listening = sockets.listening(at(directory, bound), _BACKLOG)
            try:
                os.rename(bound, self._name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                listening.close()
                os.unlink(bound, dir_fd=directory)
                raise
        except BaseException:
            os.close(directory)
            raise
        finally:
            os.umask(before)
        self._place = _identity(os.stat(self._name, dir_fd=directory, follow_symlinks=False))
        return directory, listening

    def listen_again(self) -> None:
        """Listen anew: the socket or its directory was removed or replaced.

        A directory in place of the socket stays, and no host finds us.
        """
        with suppress(OSError, UnsafeDirectoryError):
            directory, again = self._bind()
            self.socket.close()
            os.close(self._directory)
            self._directory, self.socket = directory, again

    def has_its_place(self) -> bool:
        """Return whether hosts find our socket under its name."""
        try:
            found = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
            return _identity(found) == self._place and os.path.samestat(
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
        _replace(f"{self._name}.exit", content, self._directory, is_durable=True)

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
            _replace(self._output, [line, *pieces], self._outputs, is_durable=False)

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


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _replace(
    name: str, content: Sequence[bytes | memoryview], directory: int, *, is_durable: bool
) -> None:
    atomic.replace(
        name,
        content,
        directory=directory,
        keep_access=False,
        sync_content=is_durable,
        sync_name=False,
    )
