"""Where the demo plays: a temporary repository, and an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frith_cli._console import write

_FOREIGN = ("GIT_", "FRITH_")
_OWN = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "demo" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "demo@example.invalid" for who in ("AUTHOR", "COMMITTER")},
}


@contextmanager
def playground(*, keep: bool) -> Iterator[Path]:
    """Make a temporary repository with one commit; remove it at the end unless ``keep``.

    Meanwhile nothing of the environment or of a user's settings changes what git does.
    """
    folder = Path(tempfile.mkdtemp(prefix="frith-demo-")).resolve()
    try:
        with _own_environment():
            workspace = folder / "workspace"
            git(folder, "init", "--quiet", "--initial-branch=main", str(workspace))
            (workspace / "README").write_text("A repository to play in.\n", "utf-8")
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
    """Run git in ``where`` and return what it printed."""
    command = ["git", "-C", str(where), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def lives(pid: int) -> bool:
    """Tell whether process ``pid`` runs; one that nobody has waited for yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:  # no such file system: what can be signalled runs
        return True
    return stat.rpartition(")")[2].split()[0] != "Z"
