"""Records the command at work and draws it as ``docs/recording.svg``, which the README shows.

``python docs/recording.py`` makes it anew. It needs tmux, git and an installed frith. Everything
happens in a temporary repository and in a tmux server of its own; a frame is what
``tmux capture-pane`` prints once the text that a step waits for is on the screen.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path

COLUMNS, ROWS = 100, 18
TO_SHOW = 30.0
"""Seconds within which a text must be on the screen."""

AGENT = """#!/bin/sh
echo "Task: $1"
echo "Writing login.py"
echo 'def login(user): ...' >login.py
printf 'Run the tests? [y/n] '
read answer
echo "12 passed"
printf 'What next? '
read answer
"""
"""What a session runs. It stands for a coding agent: it works, then it asks."""

ENTER, DETACH, INTERRUPT = "\r", "\x1d", "\x03"
STEPS = (
    # what is typed, the key after it, a pattern to wait for, seconds for which the frame is shown
    ("frith new fix-login -- ./agent 'Add a login'", ENTER, r"Run the tests\? \[y/n\] *$", 3.0),
    ("", DETACH, r"which is still running\.\n\$", 3.0),
    ("frith new search --detach -- watch date", ENTER, r"search at [^$]+\$ ?$", 2.5),
    ("frith ls --watch", ENTER, r"fix-login +1 [^$]*active[^$]*search +0$", 5.0),
    ("", INTERRUPT, r"--watch\n\$ ?$", 0.5),
    ("frith attach fix-login", ENTER, r"^Task: [^$]*\[y/n\] *$", 3.0),
    ("", DETACH, r"which is still running\.\n\$ ?$", 1.0),
    ("frith rm fix-login --cleanup", ENTER, r"untracked[^$]*$", 5.0),
)

FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
COLOURS = ("#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4")
SGR = re.compile(r"\x1b\[([\d;]*)m")
OTHER = re.compile(r"\x1b[()][0-9A-B]|[\x0e\x0f]")
WIDTH, HEIGHT, MARGIN = 8.0, 18, 14

Frame = tuple[str, float]
"""A screen, with its SGR sequences, and the seconds for which it is shown."""


class Screen:
    """A shell in a tmux server of its own."""

    def __init__(self, directory: Path) -> None:
        self._tmux = ("tmux", "-L", directory.parent.name, "-f", os.devnull)
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        shell = ("-c", str(directory), "bash --norc --noprofile")
        self._run("new-session", "-d", *size, *shell, ";", "set-option", "status", "off")

    def close(self) -> None:
        """End the tmux server."""
        self._run("kill-server")

    def type(self, text: str) -> None:
        """Type ``text``."""
        self._run("send-keys", "-l", text)

    def show(self) -> str:
        """Return what is on the screen."""
        return self._run("capture-pane", "-e", "-p")

    def wait_for(self, pattern: str) -> str:
        """Return the screen once it matches ``pattern``.

        Raises:
            TimeoutError: it never did.
        """
        end = time.monotonic() + TO_SHOW
        while not re.search(pattern, _plain(screen := self.show())):
            if time.monotonic() > end:
                raise TimeoutError(f"{pattern!r} is not on the screen:\n{_plain(screen)}")
            time.sleep(0.1)
        return screen

    def _run(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _plain(screen: str) -> str:
    lines = SGR.sub("", OTHER.sub("", screen)).rstrip("\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines)


def record() -> list[Frame]:
    """Take the steps; return the frames."""
    with tempfile.TemporaryDirectory(prefix="frith-") as temporary:
        shop = Path(temporary, "shop")
        _make(shop)
        screen = Screen(shop)
        try:
            screen.wait_for(r"^\$")
            return list(_frames(screen))
        finally:
            screen.close()
            for name in ("fix-login", "search"):
                remove = ["frith", "rm", name, "--cleanup", "--force"]
                subprocess.run(remove, cwd=shop, stderr=subprocess.DEVNULL, check=False)


def _make(repository: Path) -> None:
    who = {"NAME": "Reader", "EMAIL": "reader@example.org"}
    for variable, value in who.items():
        os.environ[f"GIT_AUTHOR_{variable}"] = os.environ[f"GIT_COMMITTER_{variable}"] = value
    os.environ.update(PS1="$ ", SHELL="/bin/sh", HOME=str(repository.parent))
    os.environ.pop("TMUX", None)
    repository.mkdir()
    agent = repository / "agent"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    for command in ("init -q -b main", "add .", "commit -q -m Begin"):
        subprocess.run(["git", *command.split()], cwd=repository, check=True)


def _frames(screen: Screen) -> Iterator[Frame]:
    for text, key, pattern, seconds in STEPS:
        if text:
            screen.type(text)
            yield screen.wait_for(re.escape(text)), 1.2
        screen.type(key)
        yield screen.wait_for(pattern), seconds


def draw(frames: list[Frame]) -> str:
    """Return an SVG that shows the frames in turn; where nothing moves, that of `ls --watch`."""
    width = round(COLUMNS * WIDTH + 2 * MARGIN)
    height = ROWS * HEIGHT + 2 * MARGIN
    total = sum(seconds for _, seconds in frames)
    rules, groups, start = [], [], 0.0
    for number, (screen, seconds) in enumerate(frames):
        begins, ends = 100 * start / total, 100 * (start + seconds) / total
        start += seconds
        shown = f"{begins:.2f}%{{visibility:visible}}{ends:.2f}%{{visibility:hidden}}"
        first = "0%{visibility:hidden}" if number else ""
        rules.append(f"@keyframes f{number}{{{first}{shown}100%{{visibility:hidden}}}}")
        rules.append(f".f{number}{{animation:f{number} {total:.1f}s step-end infinite}}")
        still = "" if "MESSAGE" in screen else ' visibility="hidden"'
        groups.append(f'<g class="f{number}"{still}>{_lines(screen)}</g>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"',
            ' xml:space="preserve">',
            "<title>Two sessions in one repository: created, watched, attached, removed</title>",
            f"<style>text{{font:13px {FONTS};fill:#e6edf3;white-space:pre}}.b{{font-weight:700}}",
            "@media (prefers-reduced-motion:no-preference){",
            *rules,
            "}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
            *groups,
            "</svg>\n",
        ]
    )


def _lines(screen: str) -> str:
    drawn = []
    classes, fill = "", ""
    for row, line in enumerate(OTHER.sub("", screen).split("\n")):
        column, parts = 0, SGR.split(line)
        for index, part in enumerate(parts):
            if index % 2:
                classes, fill = _style(part, classes, fill)
            elif part.strip():
                x = MARGIN + (column + len(part) - len(part.lstrip())) * WIDTH
                y = MARGIN + HEIGHT * row + 13
                text = part.strip()
                size = f'textLength="{len(text) * WIDTH:g}"'
                drawn.append(f'<text x="{x:g}" y="{y}" {size}{classes}{fill}>{escape(text)}</text>')
            if not index % 2:
                column += len(part)
    return "".join(drawn)


def _style(sequence: str, classes: str, fill: str) -> tuple[str, str]:
    for code in map(int, filter(None, sequence.split(";") if sequence else ["0"])):
        if code == 0:
            classes, fill = "", ""
        elif code == 1:
            classes = ' class="b"'
        elif 30 <= code <= 37 or 90 <= code <= 97:
            fill = f' style="fill:{COLOURS[code % 10]}"'
        elif code == 39:
            fill = ""
    return classes, fill


if __name__ == "__main__":
    svg = Path(__file__).with_suffix(".svg")
    svg.write_text(draw(record()), "utf-8")
    print(f"{svg}: {svg.stat().st_size} bytes")
