"""Running the `git` command: never a shell, a fixed locale, no variable that redirects it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from frith.errors import InvalidWorkspaceError, WorkspaceError
from frith_git._lock import held
from frith_git._process import run_process
from frith_terminals.environment import SESSION_ID, TERMINAL_ID, WORKSPACE

LOCAL_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
    }
)
"""What `git rev-parse --local-env-vars` prints: variables that tie git to one repository.

Without `GIT_CONFIG_COUNT` and `GIT_CONFIG_PARAMETERS`, which are configuration: containers and CI
trust a repository by them (`safe.directory`).
"""

_ALSO_REMOVED = frozenset({"GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES", "GIT_LITERAL_PATHSPECS"})
_OF_SESSIONS = frozenset({SESSION_ID, WORKSPACE, TERMINAL_ID})
"""By these a process is ended with a session. Where a process of one session uses frith, git
works for another: a change must not be torn in two, or its background processes be killed."""
_USAGE = 129
_DUBIOUS = "detected dubious ownership"


class GitError(WorkspaceError):
    """A git command failed.

    Attributes:
        argv: the command.
        exit_code: its exit code; negative for the number of a signal.
        stderr: what it said.
    """

    code = "GIT_FAILED"

    def __init__(self, argv: tuple[str, ...], exit_code: int, stderr: str) -> None:
        said = stderr.strip() or "nothing"
        hint = " Frith needs git 2.33 or later." if exit_code == _USAGE else ""
        super().__init__(f"`{' '.join(argv)}` ended with {exit_code} and said: {said}.{hint}")
        self.argv = argv
        self.exit_code = exit_code
        self.stderr = stderr


class GitNotFoundError(WorkspaceError):
    """There is no git command."""

    code = "GIT_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("The command `git` cannot be run. Install git, or put it on the PATH.")


class GitNotStartedError(WorkspaceError):
    """The system did not start a git command.

    Attributes:
        reason: what the system says.
    """

    code = "GIT_NOT_STARTED"

    def __init__(self, error: OSError) -> None:
        self.reason = error.strerror or str(error)
        super().__init__(
            f"The command `git` cannot be started: {self.reason}. "
            "End some sessions, or raise the limit (`ulimit -n`, `ulimit -u`), then try again."
        )


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would redirect git or end it."""
    removed = LOCAL_VARIABLES | _ALSO_REMOVED | _OF_SESSIONS
    return {key: value for key, value in os.environ.items() if key not in removed}


class Git:
    """Runs git commands, and counts them."""

    def __init__(self) -> None:
        self.runs = 0
        """How many git processes were started."""

    async def read(
        self,
        directory: str,
        *args: str,
        stdin: bytes = b"",
        ok: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
        in_tree: bool = False,
    ) -> bytes:
        """Run a command that changes nothing; it takes no optional lock. See :meth:`run`."""
        quiet = {"GIT_OPTIONAL_LOCKS": "0", **(env or {})}
        return await self._run(directory, args, stdin, ok, quiet, (), in_tree)

    async def run(
        self,
        directory: str,
        *args: str,
        stdin: bytes = b"",
        ok: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
        in_tree: bool = False,
    ) -> bytes:
        """Run ``git -C directory args`` and return what it wrote to its standard output.

        Git finds the repository in ``directory`` itself, never above it. It inherits the locks
        that are held. Cancelled, it is terminated and waited for.

        Args:
            directory: where it runs.
            args: the command and its arguments.
            stdin: what it reads.
            ok: exit codes that are no failure.
            env: variables that it gets in addition.
            in_tree: whether it works on the files in ``directory``, whatever ``core.worktree`` and
                ``core.bare`` say; without ``--git-dir``, which would switch off git's check of
                the owner.

        Raises:
            GitError: the exit code is not one of ``ok``.
            GitNotFoundError: there is no git.
            GitNotStartedError: the system does not start it: no descriptors, processes, memory.
            InvalidWorkspaceError: git does not trust the owner of ``directory``.
        """
        return await self._run(directory, args, stdin, ok, env or {}, held.get(), in_tree)

    async def _run(
        self,
        directory: str,
        args: tuple[str, ...],
        stdin: bytes,
        ok: Collection[int],
        env: Mapping[str, str],
        inherited: tuple[int, ...],
        in_tree: bool,
    ) -> bytes:
        # No monitor: a stale one hides changes, a new one would keep the locks that it inherits.
        place = _placed(directory) if in_tree else ()
        argv = ("git", "-C", directory, "-c", "core.fsmonitor=false", *place, *args)
        environment = {
            **clean_environment(),
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CEILING_DIRECTORIES": os.path.dirname(directory),
            **env,
        }
        self.runs += 1
        try:
            code, output, errors = await run_process(
                argv, cwd="/", env=environment, stdin=stdin, inherited=inherited
            )
        except (FileNotFoundError, PermissionError) as error:
            raise GitNotFoundError from error
        except OSError as error:
            raise GitNotStartedError(error) from error
        if code in ok:
            return output
        stderr = errors.decode(errors="backslashreplace")
        if _DUBIOUS in stderr:
            raise InvalidWorkspaceError(directory, stderr.strip())
        raise GitError(argv, code, stderr)


def _placed(directory: str) -> tuple[str, ...]:
    return (f"--work-tree={directory}",)
