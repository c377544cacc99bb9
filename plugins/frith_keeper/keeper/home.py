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
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        os.close(open_directory(parent))
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _shut_others_out(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _shut_others_out(fd: int, path: str) -> None:
    give(fd, os.stat(os.path.dirname(path)))
    if not is_trusted(fd, path):
        raise UnsafeDirectoryError(f"{path!r} belongs to another user")
    if stat.S_IMODE(os.fstat(fd).st_mode) != 0o700:
        os.fchmod(fd, 0o700)


def is_trusted(directory: int, path: str) -> bool:
    """Tell whether what is in the open ``directory`` at ``path`` comes from us.

    Root trusts the owner of the directory around it, whose repository that is: a container often
    runs as root, and what it makes there is given to the owner.
    """
    owner = os.fstat(directory).st_uid
    return owner == os.geteuid() or (
        os.geteuid() == 0 and owner == os.stat(os.path.dirname(path)).st_uid
    )


def give(fd: int, directory: os.stat_result) -> None:
    """As root, give the open file ``fd`` the owner of the ``directory`` that it is in."""
    if os.geteuid() == 0 == os.fstat(fd).st_uid != directory.st_uid:
        with suppress(OSError):  # an owner that this user namespace does not know
            os.fchown(fd, directory.st_uid, directory.st_gid)


def at(directory: int, name: str) -> str:
    """Return a path to ``name`` in the directory that fits into a socket's address."""
    return f"/proc/self/fd/{directory}/{name}"


class Home:
    """The socket of one keeper, the file with the exit status of its command, and its output.

    Everything is reached through descriptors: the workspace may be moved.
    """

    def __init__(self, base: str, path: str, name: str, output: str) -> None:
        """Listen as ``name`` in the directory ``path``.

        Args:
            base: the directory without which nobody finds the keeper: of the repository.
            path: where hosts look for keepers.
            name: of the socket.
            output: path of the file for the end of the output.

        Raises:
            UnsafeDirectoryError, OSError: that cannot be.
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
        self._directory, self.socket = self._listening()

    def _within(self, base: str, path: str) -> str:
        inner = path.removeprefix(f"{base}/")
        return path if inner == path else at(self._base, inner)

    def _listening(self) -> tuple[int, sockets.Socket]:
        """Return the directory, and the socket that is bound to our name in it."""
        directory = open_directory(self._path)
        # Everybody may read in /proc/net/unix under which name a socket was bound.
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
        """Be found again: the socket or its directory was removed, or something is in its place.

        A directory in its place stays, and we are not found.
        """
        with suppress(OSError, UnsafeDirectoryError):
            directory, again = self._listening()
            self.socket.close()
            os.close(self._directory)
            self._directory, self.socket = directory, again

    def has_its_place(self) -> bool:
        """Tell whether hosts find our socket under its name."""
        try:
            found = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
            return _identity(found) == self._place and os.path.samestat(
                os.stat(self._path), os.fstat(self._directory)
            )
        except OSError:
            return False

    def is_gone(self) -> bool:
        """Tell whether the repository was deleted, so that nobody can ever find us again."""
        try:
            return os.fstat(self._base).st_nlink == 0
        except OSError as error:
            return error.errno == errno.ESTALE  # deleted on another machine

    def note_exit(self, found: dict[str, Any]) -> None:
        """Write down how the command ended, for whoever comes when the keeper is gone.

        Raises:
            OSError: it cannot be written.
        """
        _replace(f"{self._name}.exit", [json.dumps(found).encode()], self._directory)

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
                os.unlink(f"{self._name}{name}", dir_fd=self._directory)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _replace(name: str, pieces: list[Any], directory: int, *, durably: bool = True) -> None:
    """Put a file with ``pieces`` in the place of ``name`` in ``directory``.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    temporary = f"{name}.tmp"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        try:
            give(fd, os.fstat(directory))
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(fd, rest) :]
            if durably:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
