"""Finds the keepers of a workspace: by their files, and those that do not listen by signals."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from anyio import CapacityLimiter, fail_after, move_on_after, sleep, to_thread, wait_readable
from pydantic import JsonValue, ValidationError

from frith.model import SessionId
from frith_keeper.keeper.sockets import at, is_ours, peer
from frith_keeper.keeper_processes import end, find_keepers, send_signal
from frith_keeper.link import Ended, Greeted, KeeperError, abandon, receive_greeting, send_hello
from frith_keeper.options import KeeperOptions
from frith_os.private import is_trusted
from frith_os.pty import wire

_EXIT = ".exit"
_FOUND_AGAIN = 2.0
"""Seconds in which a keeper that was signalled must listen again."""
_RETRY = 0.02
_NOT_THERE = FileNotFoundError, ConnectionError
"""Errors where no keeper listens, or one that leaves just now."""


class Keepers:
    """The keepers of a workspace, by name; the files of those that are gone, too."""

    def __init__(
        self, workspace: Path, options: KeeperOptions, limiter: CapacityLimiter | None = None
    ) -> None:
        home, directory = _home(workspace), options.directory
        self.limiter = limiter
        """Limits the threads that work for them."""
        self.base = str(home.parent)
        """The directory without which no host finds the keepers; it may be moved."""
        self.directory = str(workspace / directory if directory else home / "keepers")
        self._outputs = home / "outputs"
        self._answer_within = options.answer_timeout

    def path(self, name: str) -> str:
        """Return the path of the socket of the keeper called ``name``."""
        return os.path.join(self.directory, name)

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

    async def running(self) -> dict[str, dict[str, JsonValue]]:
        """Return the living keepers by name, those without files, too; see :func:`find_keepers`."""
        return await to_thread.run_sync(find_keepers, self.base, limiter=self.limiter)

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

    async def end(self, name: str, ref: dict[str, Any]) -> None:
        """End a keeper whose process has been swept, also one that does not answer."""
        with suppress(KeeperError, OSError):
            await self.dismiss(name, ref)
        with suppress(KeeperError, OSError):  # it stays where the next sweep finds it
            if await end(ref, self._answer_within):
                await to_thread.run_sync(self.clear, name, limiter=self.limiter)

    async def dismiss(self, name: str, ref: dict[str, Any]) -> None:
        """Have a keeper end whose process has ended.

        Raises:
            KeeperError: it cannot be reached.
        """
        greeted = await self.find(name, ref)
        if greeted is not None:
            with closing(greeted):
                await to_thread.run_sync(
                    _collect, greeted, self._answer_within, limiter=self.limiter
                )
        await to_thread.run_sync(self.clear, name, limiter=self.limiter)

    async def find(self, name: str, ref: dict[str, Any]) -> Greeted | None:
        """Return the keeper called ``name``, greeted; ``None`` if there is none."""
        failure = None
        try:
            return await self._greet(name)
        except _NOT_THERE:
            pass
        except KeeperError as error:
            why = error.__cause__
            if isinstance(why, OSError) and why.errno != errno.EPROTOTYPE:  # another kind of socket
                raise
            if not send_signal(ref) or self._listens(name, ref):
                raise
            failure = error
        # Its socket may have been removed or replaced: a keeper that is signalled listens anew.
        if send_signal(ref, signal.SIGUSR1):
            with move_on_after(_FOUND_AGAIN):
                while send_signal(ref):  # it may just be leaving
                    await sleep(_RETRY)
                    with suppress(KeeperError, *_NOT_THERE):
                        return await self._greet(name)
                return None
            raise failure or KeeperError(
                f"The keeper {name} (process {ref['keeper']}) runs but cannot be reached."
            )
        if failure is not None:
            raise failure
        return None

    def _listens(self, name: str, ref: dict[str, Any]) -> bool:
        """Return whether the keeper that ``ref`` names is the one that listens as ``name``."""
        with (
            suppress(KeeperError, OSError),
            closing(self.connect(name)) as connection,
        ):
            return peer(connection)[0] == ref.get("keeper")
        return False

    async def _greet(self, name: str) -> Greeted:
        """Greet the keeper called ``name``, once more after waking it if it does not answer."""
        try:
            try:
                return await self._try_to_greet(name)
            except TimeoutError:  # it may have been stopped
                with closing(self.connect(name)) as connection:
                    keeper, _ = peer(connection)
                if keeper:  # otherwise it is in another pid namespace
                    with suppress(OSError):
                        os.kill(keeper, signal.SIGCONT)
            return await self._try_to_greet(name)
        except _NOT_THERE:
            raise
        except TimeoutError as error:
            reason = f"The keeper {name} (process {keeper}) does not answer."
            raise KeeperError(reason) from error
        except OSError as error:
            raise KeeperError(f"The keeper {name} cannot be reached: {error}.") from error

    async def _try_to_greet(self, name: str) -> Greeted:
        connection = self.connect(name)
        try:
            send_hello(connection)
            with fail_after(self._answer_within):
                await wait_readable(connection)
            return receive_greeting(connection)
        except BaseException:
            abandon(connection)
            raise


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


def _collect(keeper: Greeted, within: float) -> None:
    """Have a keeper end, and wait until it has; it does not while its process runs."""
    try:
        keeper.connection.settimeout(within)
        deadline = monotonic() + within
        while True:
            keeper.connection.send(wire.message(do="collect", seq=1))
            while (answer := wire.parse(keeper.connection.recv(wire.LARGEST))).get("seq") != 1:
                pass
            if "error" not in answer or monotonic() > deadline:
                break
            time.sleep(_RETRY)
        while keeper.connection.recv(wire.LARGEST):
            pass
        # As process 1 of a container this host is the parent of orphans.
        with suppress(ChildProcessError):
            os.waitpid(peer(keeper.connection)[0], 0)
    except (OSError, ValueError):
        pass
