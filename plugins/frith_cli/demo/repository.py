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
from frith_os.processes import stat_of

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
    before = dict(os.environ)
    for name in before:
        if name.startswith(("GIT_", "FRITH_")):
            del os.environ[name]
    os.environ.update(_OWN)
    try:
        workspace = folder / "workspace"
        git(folder, "init", "--quiet", "--initial-branch=main", str(workspace))
        (workspace / "README").write_text("A repository for the demo.\n", "utf-8")
        git(workspace, "add", "README")
        git(workspace, "commit", "--quiet", "--message=Begin")
        yield workspace
    finally:
        os.environ.clear()
        os.environ.update(before)
        if keep:
            write(f"\nKept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def git(where: Path, *arguments: str) -> str:
    """Run git in ``where`` and return its output."""
    command = ["git", "-C", str(where), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def runs(pid: int) -> bool:
    """Return whether the process ``pid`` runs; a zombie does not."""
    return (stat := stat_of(pid)) is not None and stat.state != "Z"
