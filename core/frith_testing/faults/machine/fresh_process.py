"""A new interpreter with one thread, which can fork, unshare and limit itself safely."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from frith_testing.harness.opening import Opening

P = ParamSpec("P")
T = TypeVar("T")


class LaboratoryError(RuntimeError):
    """The laboratory itself failed, so the result says nothing about the provider."""


def in_fresh_process(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return ``work(*args, **kwargs)``, called in the main thread of a new interpreter.

    All must be picklable, so defined in modules that can be imported. Processes that the work has
    started end with it.

    Raises:
        LaboratoryError: it raised, or its process died; the traceback is on stderr.
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
        start_new_session=True,
    ) as process:
        try:
            answer, _ = process.communicate(pickle.dumps((work, args, kwargs)))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise LaboratoryError(
            f"{work.__qualname__} failed in its process ({process.returncode}); see stderr."
        )
    return cast("T", pickle.loads(answer))  # noqa: S301 - our own child's


def fork(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked child, which exits with 1 if it raises; return the pid.

    The calling process must have one thread: see :func:`in_fresh_process`.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def forked(work: Callable[[], T]) -> T:
    """Return ``work()``, called in a forked child.

    Raises:
        LaboratoryError: it raised, or the child died; the traceback is on stderr.
    """
    reading, writing = os.pipe()

    def answer() -> None:
        os.close(reading)
        with open(writing, "wb") as pipe:
            pickle.dump(work(), pipe)

    pid = fork(answer)
    os.close(writing)
    with open(reading, "rb") as pipe:
        data = pipe.read()
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise LaboratoryError(f"A child process failed ({code}); its traceback is on stderr.")
    return cast("T", pickle.loads(data))  # noqa: S301 - our own child's


async def import_machinery(opening: Opening) -> None:
    """Open a store once, so that forked children have its imports."""
    with tempfile.TemporaryDirectory() as name:
        async with opening.at(Path(name)).open() as store:
            await store.load()


def _serve() -> None:
    """Do the pickled work of stdin and write the answer to stdout; other output goes to stderr."""
    work, args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    with open(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        pickle.dump(work(*args, **kwargs), answers)


if __name__ == "__main__":
    _serve()
