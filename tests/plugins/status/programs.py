"""Real programs in typical situations, and the status that each should be given.

The table in ``docs/reference/status.md`` has these rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One program in one situation."""

    program: str
    """What must be installed."""
    situation: str
    command: tuple[str, ...]
    status: str
    typed: bytes = b""
    """Input, once it waits."""
    env: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.program} {self.situation}"


NOBODY = {
    f"GIT_{role}_{what}": "nobody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
SSH = (
    "ssh -p $SSHD_PORT -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
    "-o PubkeyAuthentication=no nobody@localhost"
)

ROWS = (
    Row("bash", "at its prompt", ("bash", "--norc", "-i"), "waiting"),
    Row("bash", "running a command", ("bash", "--norc", "-i"), "active", b"sleep 100\n"),
    Row("dash", "at its prompt", ("dash", "-i"), "waiting"),
    Row("fish", "at its prompt", ("fish", "--no-config"), "waiting"),
    Row("fish", "running a command", ("fish", "--no-config"), "active", b"sleep 100\r"),
    Row("zsh", "at its prompt", ("zsh", "-f"), "waiting"),
    Row("python3", "at its prompt", ("python3", "-q"), "waiting"),
    Row("python3", "computing", ("python3", "-c", "while True: pass"), "active"),
    Row("vim", "editing", ("vim", "-u", "NONE", "file"), "waiting"),
    Row("less", "paging", ("less", "/etc/passwd"), "waiting"),
    Row("htop", "refreshing", ("htop",), "active"),
    Row("fzf", "choosing", ("sh", "-c", "ls / | fzf"), "waiting"),
    Row("git", "in its pager", ("git", "-c", "core.pager=less -+F", "log"), "waiting"),
    Row(
        "git",
        "in its editor",
        ("git", "-c", "core.editor=vim -u NONE", "commit", "--allow-empty"),
        "waiting",
        env=NOBODY,
    ),
    Row("npm", "asking in `npm init`", ("npm", "init"), "waiting"),
    Row("ssh", "asking for a password", ("sh", "-c", f"exec {SSH}"), "waiting"),
    Row("claude", "asking at its start", ("claude",), "waiting"),
    Row("codex", "asking at its start", ("codex",), "waiting"),
    Row("gemini", "asking at its start", ("gemini",), "waiting"),
)
