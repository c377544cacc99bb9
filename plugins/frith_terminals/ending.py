"""Ends processes: asks them, gives them time, then kills whatever is left."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from anyio import current_time, move_on_after, to_thread, wait_readable

from frith.errors import TerminalError
from frith_os.processes import Process, all_pids, ignores, matching

_ROUNDS = 10
_PATIENCE = 0.5
"""Seconds that a killed process may take to disappear, in each round."""


def ask_to_end(process: Process) -> None:
    """Send SIGTERM, or to those that ignore it (interactive shells do) SIGHUP; wake them."""
    polite = signal.SIGHUP if ignores(process.pid, signal.SIGTERM) else signal.SIGTERM
    process.signal(polite, signal.SIGCONT)


def hang_up(process: Process) -> None:
    """Send SIGHUP, as a terminal that is closed does."""
    process.signal(signal.SIGHUP, signal.SIGCONT)


async def end_all(
    belongs: Callable[[int], bool],
    grace: float,
    ask: Callable[[Process], None] = ask_to_end,
    kill: Callable[[], None] | None = None,
) -> tuple[frozenset[int], frozenset[int]]:
    """End every process that satisfies ``belongs``, those that they start meanwhile included.

    Each is asked once; ``grace`` seconds after the start they are killed, again until none is
    left, for some seconds at most. Cancelled, it leaves things as they are then.

    Args:
        belongs: tells by its id whether a process is to end.
        grace: in seconds.
        ask: asks a process to end.
        kill: kills many of them at once.

    Returns:
        The ids of all processes found, and of those among them that are still there.

    Raises:
        TerminalError: there are no descriptors left to look for them.
    """
    found: set[int] = set()
    deadline = current_time() + grace
    for _ in range(_ROUNDS):
        while processes := await _living(belongs):
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


async def _living(belongs: Callable[[int], bool]) -> list[Process]:
    with searching():
        # A scan reads a file or two of every process: in a thread, or an event loop waits for it.
        candidates = await to_thread.run_sync(lambda: list(filter(belongs, all_pids())))
        return matching(belongs, candidates)


@contextmanager
def searching() -> Iterator[None]:
    """Look for processes inside.

    Raises:
        TerminalError: that is not possible, so that one may have been missed.
    """
    try:
        yield
    except OSError as error:
        what = f"The processes of the session cannot be looked for: {error}."
        raise TerminalError(f"{what} Close some files, or raise `ulimit -n`.") from error


async def _until_gone(processes: Sequence[Process], patience: float) -> None:
    with move_on_after(patience):
        for process in processes:
            await wait_readable(process.fd)
