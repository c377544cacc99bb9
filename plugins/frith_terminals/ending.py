"""Ends processes: signals them, waits for the grace, then kills those that are left."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from anyio import CapacityLimiter, current_time, move_on_after, to_thread, wait_readable

from frith.errors import TerminalError
from frith_os.processes import Process, all_pids, ignores, matching

_ROUNDS = 10
_PATIENCE = 0.5
"""Seconds that a killed process may take to end, in each round."""


def ask_to_end(process: Process) -> None:
    """Send SIGTERM, or SIGHUP if it ignores that as interactive shells do; continue it."""
    number = signal.SIGHUP if ignores(process.pid, signal.SIGTERM) else signal.SIGTERM
    process.signal(number, signal.SIGCONT)


def hang_up(process: Process) -> None:
    """Send SIGHUP, as the kernel does when a terminal is closed."""
    process.signal(signal.SIGHUP, signal.SIGCONT)


async def end_all(
    belongs: Callable[[int], bool],
    grace: float,
    ask: Callable[[Process], None] = ask_to_end,
    kill: Callable[[], None] | None = None,
    limiter: CapacityLimiter | None = None,
) -> tuple[frozenset[int], frozenset[int]]:
    """End every process that satisfies ``belongs``, including those started meanwhile.

    Each is asked once; after ``grace`` seconds they are killed, again until none is left, for
    some seconds at most. Cancelled, it leaves the rest running.

    Args:
        belongs: returns for a process id whether that is to end.
        grace: in seconds.
        ask: asks a process to end.
        kill: kills many of them at once.
        limiter: limits the threads that look for them.

    Returns:
        The ids of all processes found, and of those that still run.

    Raises:
        TerminalError: no descriptors are left to look for them.
    """
    found: set[int] = set()
    deadline = current_time() + grace
    for _ in range(_ROUNDS):
        while processes := await _living(belongs, limiter):
            with ExitStack() as handles:
                for process in processes:
                    handles.callback(process.close)
                fresh = [process for process in processes if process.pid not in found]
                found.update(process.pid for process in fresh)
                if (left := deadline - current_time()) <= 0:
                    if kill:
                        kill()
                    for process in processes:
                        process.signal(signal.SIGKILL)
                    await _until_gone(processes, _PATIENCE)
                    break
                for process in fresh:
                    ask(process)
                await _until_gone(processes, left)
        else:
            return frozenset(found), frozenset()
    return frozenset(found), frozenset(process.pid for process in processes)


async def _living(belongs: Callable[[int], bool], limiter: CapacityLimiter | None) -> list[Process]:
    with searching():
        # A scan reads files of every process, so it is done in a thread.
        candidates = await to_thread.run_sync(
            lambda: list(filter(belongs, all_pids())), limiter=limiter
        )
        return matching(belongs, candidates)


@contextmanager
def searching() -> Iterator[None]:
    """Look for processes inside.

    Raises:
        TerminalError: no descriptors were left, so a process may have been missed.
    """
    try:
        yield
    except OSError as error:
        raise TerminalError(
            f"Cannot look for the processes of the session: {error}. Close some files, or raise "
            "`ulimit -n`."
        ) from error


async def _until_gone(processes: Sequence[Process], patience: float) -> None:
    with move_on_after(patience):
        for process in processes:
            await wait_readable(process.fd)
