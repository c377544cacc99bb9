"""Child processes, run in worker threads.

Half the price of the event loop's own, which on Python 3.11 start a thread each as well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

import anyio

_GRACE = 5.0


async def run_process(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    stdin: bytes = b"",
    output: IO[bytes] | None = None,
    inherited: Sequence[int] = (),
) -> tuple[int, bytes, bytes]:
    """Run ``argv`` and return its exit code and what it wrote to its output and error streams.

    It gets a session of its own: Ctrl-C in the terminal must not tear a change in two.
    Cancelled, its process group is terminated, if need be killed, and waited for.

    Args:
        stdin: what it reads; nothing is the end of the file.
        output: a file that gets both streams instead.
        inherited: file descriptors that it gets.

    Raises:
        OSError: it cannot be started.
    """
    child = _Child(argv, cwd, env, stdin, output, inherited)
    try:
        return await anyio.to_thread.run_sync(child.run, abandon_on_cancel=True)
    except BaseException:
        with anyio.CancelScope(shield=True):
            # A place of its own: those that wait for processes may have taken all others.
            await anyio.to_thread.run_sync(child.end, limiter=anyio.CapacityLimiter(1))
        raise


class _Child:
    def __init__(
        self,
        argv: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        stdin: bytes,
        output: IO[bytes] | None,
        inherited: Sequence[int],
    ) -> None:
        self._argv = argv
        self._cwd = cwd
        self._env = env
        self._stdin = stdin
        self._output = output
        self._inherited = inherited
        self._starting = threading.Lock()
        self._unwanted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._done = threading.Event()

    def run(self) -> tuple[int, bytes, bytes]:
        """Start the process and wait for it."""
        with self._starting:
            if self._unwanted:
                return -signal.SIGTERM, b"", b""
            self._process = process = subprocess.Popen(
                self._argv,
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.PIPE if self._stdin else subprocess.DEVNULL,
                stdout=self._output or subprocess.PIPE,
                stderr=self._output or subprocess.PIPE,
                start_new_session=True,
                pass_fds=self._inherited,
            )
        try:
            with process:
                out, err = process.communicate(self._stdin or None)
            return process.returncode, out or b"", err or b""
        finally:
            self._done.set()

    def end(self) -> None:
        """See that the process has ended, or never starts."""
        with self._starting:
            self._unwanted = True
        process = self._process
        if process is None:
            return
        # SIGTERM first: on it git removes its lock files.
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            if self._done.wait(_GRACE):
                return
