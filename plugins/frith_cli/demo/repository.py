"""The temporary repository of the demo, with an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frith_cli.console import write

_FOREIGN = ("GIT_", "FRITH_")
_OWN = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "demo" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "demo@example.invalid" for who in ("AUTHOR", "COMMITTER")},
}


@contextmanager
def temporary_repository(*, keep: bool) -> Iterator[Path]:
    """Make a temporary repository with one commit; remove it at the end unless ``keep``.

    Meanwhile neither the environment nor the settings of the user affect git.
    """
    folder = Path(tempfile.mkdtemp(prefix="frith-demo-")).resolve()
    try:
        with _own_environment():
            workspace = folder / "workspace"
            git(folder, "init", "--quiet", "--initial-branch=main", str(workspace))
            (workspace / "README").write_text("A repository for the demo.\n", "utf-8")
            git(workspace, "add", "README")
            git(workspace, "commit", "--quiet", "--message=Begin")
            yield workspace
    finally:
        if keep:
            write(f"\nKept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_environment() -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith(_FOREIGN):
            del os.environ[name]
    os.environ.update(_OWN)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def git(where: Path, *arguments: str) -> str:
    """Run git in ``where`` and return its output."""
    command = ["git", "-C", str(where), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def runs(pid: int) -> bool:
    """Return whether the process ``pid`` runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:  # there is no procfs, as on macOS
        return True
    return stat.rpartition(")")[2].split()[0] != "Z"
