"""A repository as the git command shows it, without the provider under test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")


class GitView:
    """Inspects a repository, and works in its worktrees as a user or an agent does."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace

    def git(self, *args: str, at: Path | str | None = None) -> str:
        """Run git in the directory ``at``, by default the workspace; return its output.

        Raises:
            CalledProcessError: git failed.
        """
        command = ["git", "--no-optional-locks", "-C", str(at or self.workspace), *_IDENTITY, *args]
        done = subprocess.run(command, env=_environment(), check=True, capture_output=True)
        return os.fsdecode(done.stdout).rstrip("\n")

    def branches(self) -> dict[str, str]:
        """Return the commit of every branch."""
        said = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
        return dict(line.rsplit(" ", 1) for line in said.splitlines())

    def worktrees(self) -> dict[str, str | None]:
        """Return the branch of every linked worktree by its path; ``None`` if HEAD is detached."""
        found: dict[str, str | None] = {}
        said = self.git("worktree", "list", "--porcelain", "-z").removesuffix("\0\0")
        for entry in said.split("\0\0")[1:]:
            facts = dict(line.partition(" ")[::2] for line in entry.split("\0"))
            branch = facts.get("branch")
            found[facts["worktree"]] = branch and branch.removeprefix("refs/heads/")
        return found

    def commit(self, at: str, name: str = "work.txt") -> str:
        """Write and commit the file ``name`` in the worktree ``at``; return the commit."""
        Path(at, name).write_text("work\n")
        self.git("add", "--", name, at=at)
        self.git("commit", "-q", "-m", f"add {name}", at=at)
        return self.git("rev-parse", "HEAD", at=at)

    def main_worktree(self) -> dict[str, str | bytes]:
        """Return HEAD, index, configuration, status and stash of the main worktree."""
        files = ("HEAD", "index", "config")
        return {
            **{name: (self.workspace / ".git" / name).read_bytes() for name in files},
            "status": self.git("status", "--porcelain=v2", "-z"),
            "stash": self.git("stash", "list"),
        }


def _environment() -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return {**own, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
