"""Running the `git` command: no shell, a fixed locale, no variables that redirect git."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import IO, Any, TypeVar

import anyio

from frith.errors import InvalidWorkspaceError, WorkspaceError
from frith_git.lock import held
from frith_git.threads import in_thread
from frith_terminals.environment import GIT_VARIABLES, SESSION_ID, TERMINAL_ID, WORKSPACE

_T = TypeVar("_T")

LOCAL_VARIABLES = frozenset(GIT_VARIABLES) - {"GIT_CONFIG_PARAMETERS"}
"""Variables that tie git to one repository.

`GIT_CONFIG_COUNT` and `GIT_CONFIG_PARAMETERS` are not removed: containers and CI use them to trust
a repository (`safe.directory`).
"""
_ALSO_REMOVED = frozenset({"GIT_CEILING_DIRECTORIES", "GIT_LITERAL_PATHSPECS"})
_OF_SESSIONS = frozenset({SESSION_ID, WORKSPACE, TERMINAL_ID})
"""Processes with these variables are killed when their session ends. If frith runs in a session,
its git processes must not inherit them, because they work for other sessions."""
_USAGE = 129
_DUBIOUS = "detected dubious ownership"
_MOST_ERRORS = 65536
_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""


class GitError(WorkspaceError):
    """A git command failed.

    Attributes:
        argv: the command.
        exit_code: its exit code; a negative signal number if a signal ended it.
        stderr: its error output.
    """

    code = "GIT_FAILED"

    def __init__(self, argv: tuple[str, ...], exit_code: int, stderr: str) -> None:
        output = stderr.strip() or "no output"
        hint = " Frith needs git 2.33 or later." if exit_code == _USAGE else ""
        super().__init__(f"`{' '.join(argv)}` failed with exit code {exit_code}: {output}.{hint}")
        self.argv = argv
        self.exit_code = exit_code
        self.stderr = stderr


class GitNotFoundError(WorkspaceError):
    """The git command was not found."""

    code = "GIT_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("The command `git` cannot be run. Install git, or add it to the PATH.")


class GitNotStartedError(WorkspaceError):
    """The system could not start a git command.

    Attributes:
        reason: the system's message.
    """

    code = "GIT_NOT_STARTED"

    def __init__(self, error: OSError) -> None:
        self.reason = error.strerror or str(error)
        super().__init__(
            f"The command `git` cannot be started: {self.reason}. "
            "End some sessions, or raise the limit (`ulimit -n`, `ulimit -u`), then try again."
        )


async def run(
    directory: str,
    *args: str,
    stdin: bytes = b"",
    ok: Collection[int] = (0,),
    env: Mapping[str, str] | None = None,
    in_tree: bool = False,
    reads: bool = False,
    limit: int | None = None,
) -> bytes:
    """Run ``git -C directory args`` and return its standard output.

    Git looks for the repository in ``directory`` itself, never above it. If cancelled, the process
    is terminated and waited for.

    Args:
        stdin: its input.
        ok: exit codes that are not a failure.
        env: additional environment variables.
        in_tree: whether the command works on the files in ``directory``, whatever
            ``core.worktree`` and ``core.bare`` say. Never by ``--git-dir``, which would disable
            git's ownership check.
        reads: whether the command changes nothing. It then takes no optional lock, and does not
            inherit the locks that the task holds.
        limit: number of bytes after which the process is ended; longer output is returned up to
            the first byte beyond it.

    Raises:
        GitError: the exit code is not one of ``ok``.
        GitNotFoundError: git is not installed.
        GitNotStartedError: the system lacks descriptors, processes or memory.
        InvalidWorkspaceError: git does not trust the owner of ``directory``.
    """
    # A stale fsmonitor hides changes; a new one would keep the inherited locks.
    tree = _work_tree(directory) if in_tree else ()
    argv = ("git", "-C", directory, "-c", "core.fsmonitor=false", *tree, *args)
    environment = {
        **clean_environment(),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CEILING_DIRECTORIES": os.path.dirname(directory),
        **({"GIT_OPTIONAL_LOCKS": "0"} if reads else {}),
        **(env or {}),
    }
    inherited = () if reads else held.get()
    try:
        code, output, errors = await run_process(
            argv, cwd="/", env=environment, stdin=stdin, inherited=inherited, limit=limit
        )
    except (FileNotFoundError, PermissionError) as error:
        raise GitNotFoundError from error
    except OSError as error:
        raise GitNotStartedError(error) from error
    if code in ok or (limit is not None and len(output) > limit):
        return output
    stderr = errors.decode(errors="backslashreplace")
    if _DUBIOUS in stderr:
        raise InvalidWorkspaceError(directory, stderr.strip())
    raise GitError(argv, code, stderr)


read = partial(run, reads=True)
"""Run a command that changes nothing."""


async def resolve(directory: str, name: str) -> str | None:
    """Return the object id that ``name`` resolves to, if any (gitrevisions(7))."""
    output = await read(directory, "rev-parse", "--quiet", "--verify", name, ok=(0, 1))
    return output.decode().strip() or None


def _work_tree(directory: str) -> tuple[str, ...]:
    return (f"--work-tree={directory}",)


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that redirect git or mark a session's processes."""
    removed = LOCAL_VARIABLES | _ALSO_REMOVED | _OF_SESSIONS
    return {key: value for key, value in os.environ.items() if key not in removed}


async def together(*jobs: Callable[[], Awaitable[_T]]) -> list[_T]:
    """Run ``jobs`` concurrently and return their results in order.

    Raises:
        Exception: the first failure, not in a group; the other jobs are cancelled.
    """
    results: dict[int, _T] = {}

    async def run_one(index: int, job: Callable[[], Awaitable[_T]]) -> None:
        results[index] = await job()

    try:
        async with anyio.create_task_group() as tasks:
            for index, job in enumerate(jobs):
                tasks.start_soon(run_one, index, job)
    except BaseExceptionGroup as group:
        failure = group.exceptions[0]
    else:
        return [results[index] for index in range(len(jobs))]
    raise failure


async def run_process(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    stdin: bytes = b"",
    output: IO[bytes] | None = None,
    inherited: Sequence[int] = (),
    limit: int | None = None,
) -> tuple[int, bytes, bytes]:
    """Run ``argv`` and return its exit code, standard output and standard error.

    The process runs in a worker thread, which costs half of what the event loop's own processes
    do, and in a session of its own, so that Ctrl-C does not interrupt a change. If cancelled, its
    process group is terminated, killed if necessary, and waited for.

    Args:
        stdin: its input; empty for ``/dev/null``.
        output: a file that gets both output streams instead.
        inherited: file descriptors that it inherits.
        limit: number of bytes of standard output after which it is ended; for one without input.

    Raises:
        OSError: the process cannot be started.
    """
    start = partial(
        subprocess.Popen,
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=output or subprocess.PIPE,
        start_new_session=True,
        pass_fds=inherited,
    )
    child = _Child(start, stdin, limit)
    try:
        return await in_thread(child.run, abandon_on_cancel=True)
    except BaseException:
        with anyio.CancelScope(shield=True):
            # With a limiter of its own: waiting processes may occupy every thread of the manager.
            await anyio.to_thread.run_sync(child.end, limiter=anyio.CapacityLimiter(1))
        raise


class _Child:
    def __init__(
        self, start: Callable[..., subprocess.Popen[Any]], stdin: bytes, limit: int | None
    ) -> None:
        self._start = start
        self._stdin = stdin
        self._limit = limit
        self._starting = threading.Lock()
        self._cancelled = False
        self._process: subprocess.Popen[Any] | None = None
        self._done = threading.Event()

    def run(self) -> tuple[int, bytes, bytes]:
        if self._limit is None:
            return self._run(lambda process: process.communicate(self._stdin or None))
        limit = self._limit
        # Not a pipe, which a process that is not read would fill with warnings.
        with tempfile.TemporaryFile() as errors:
            code, output, _ = self._run(partial(_read_up_to, limit), stderr=errors)
            errors.seek(0)
            return code, output, errors.read(_MOST_ERRORS)

    def _run(
        self, read: Callable[[subprocess.Popen[Any]], tuple[bytes, bytes]], **options: Any
    ) -> tuple[int, bytes, bytes]:
        with self._starting:
            if self._cancelled:
                return -signal.SIGTERM, b"", b""
            self._process = process = self._start(**options)
        try:
            with process:
                out, err = read(process)
            return process.returncode, out or b"", err or b""
        finally:
            self._done.set()

    def end(self) -> None:
        with self._starting:
            self._cancelled = True
        process = self._process
        if process is None:
            return
        # SIGTERM first, because git then removes its lock files.
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            if self._done.wait(_GRACE):
                return


def _read_up_to(limit: int, process: subprocess.Popen[Any]) -> tuple[bytes, bytes]:
    """Read standard output; if it is longer than ``limit``, end the process."""
    output: bytes = process.stdout.read(limit + 1) if process.stdout else b""
    if len(output) > limit:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    return output, b""
