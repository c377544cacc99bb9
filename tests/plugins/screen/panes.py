"""Panes of tmux, a terminal that tells what it shows."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from frith_vt.emulator import GRAPHICS
from frith_vt.pen import PLAIN, Pen, select
from waiting import PATIENCE, wait_until

_STATE = [
    "cursor_x",
    "cursor_y",
    "cursor_flag",
    "insert_flag",
    "keypad_flag",
    "keypad_cursor_flag",
    "mouse_any_flag",
    "mouse_standard_flag",
    "mouse_button_flag",
    "mouse_all_flag",
    "mouse_sgr_flag",
    "mouse_utf8_flag",
    "origin_flag",
    "wrap_flag",
    "scroll_region_upper",
    "scroll_region_lower",
    "alternate_on",
    "pane_tabs",
]
_PIECES = re.compile("\x1b\\[(?P<style>[0-9;:]*)m|(?P<shift>[\x0e\x0f])|(?P<end>\n)|(?P<char>.)")

Row = list[tuple[str, Pen]]


def rows_of(capture: str) -> list[Row]:
    """Return the cells that tmux captured; it says what changes, also from row to row.

    It tells apart what was never written, what was erased and what was written as spaces at the
    end of a row; who looks does not.
    """
    rows: list[Row] = [[]]
    pen, graphics = PLAIN, False
    for piece in _PIECES.finditer(capture):
        match piece.lastgroup:
            case "style":
                pen = select(pen, piece["style"])
            case "shift":
                graphics = piece["shift"] == "\x0e"
            case "end":
                while rows[-1] and rows[-1][-1][0] == " ":
                    rows[-1].pop()
                rows.append([])
            case _:
                char = piece["char"].translate(GRAPHICS) if graphics else piece["char"]
                rows[-1].append((char, pen))
    return rows[:-1]


@dataclass(frozen=True)
class Shown:
    """What a pane shows, and what tmux tells beside."""

    rows: list[Row]
    state: dict[str, str]


class Pane:
    """One pane, alone in its session."""

    def __init__(self, tmux: Callable[..., str], name: str) -> None:
        self._tmux = tmux
        self.name = name

    def type(self, *keys: str) -> None:
        """Press keys, by the names that tmux gives them."""
        self._tmux("send-keys", "-t", self.name, *keys)

    def say(self, text: str) -> None:
        """Type ``text`` as it is."""
        self._tmux("send-keys", "-l", "-t", self.name, "--", text)

    def resize(self, rows: int, columns: int) -> None:
        self._tmux("resize-window", "-t", self.name, "-x", str(columns), "-y", str(rows))

    def tell(self, variable: str) -> str:
        return self._tmux("display", "-p", "-t", self.name, f"#{{{variable}}}").rstrip("\n")

    @property
    def text(self) -> str:
        return self._tmux("capture-pane", "-p", "-t", self.name)

    @property
    def shown(self) -> Shown:
        rows = rows_of(self._tmux("capture-pane", "-p", "-e", "-N", "-t", self.name))
        known = self.tell("}|#{".join(_STATE)).split("|")
        return Shown(rows, dict(zip(_STATE, known, strict=True)))

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds of the pane."""
        try:
            wait_until(holds)
        except TimeoutError:
            pytest.fail(f"not {what}:\n{self.text}")

    def until_text(self, text: str) -> None:
        self.until(lambda: text in self.text, f"shown: {text}")


class Panes:
    """A server of tmux of our own."""

    def __init__(self, directory: Path) -> None:
        if not shutil.which("tmux"):
            pytest.skip("tmux is not installed")
        self._directory = directory
        self._socket = directory / "tmux"
        self._configuration = directory / "tmux.conf"
        self._configuration.write_text("set -g status off\nset -s escape-time 0\n")
        self._numbers = itertools.count()

    def _tmux(self, *arguments: str) -> str:
        command: list[str | Path] = [
            "tmux",
            "-u",
            "-f",
            self._configuration,
            "-S",
            self._socket,
            *arguments,
        ]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert ran.returncode == 0, ran.stderr
        return str(ran.stdout)

    def close(self) -> None:
        if self._socket.exists():
            self._tmux("kill-server")

    def run(self, command: list[str], rows: int = 24, columns: int = 80) -> Pane:
        """Run a command in a new pane."""
        name = f"pane-{next(self._numbers)}"
        size = ["-x", str(columns), "-y", str(rows)]
        self._tmux("new-session", "-d", "-s", name, *size, shlex.join(command))
        return Pane(self._tmux, name)

    def written(self, data: bytes, rows: int, columns: int) -> Shown:
        """Return what a new pane shows once ``data`` was written to it."""
        file = self._directory / "data"
        file.write_bytes(data)
        script = f"stty raw -echo; cat {shlex.quote(str(file))}; printf '\\033]2;written\\007'; cat"
        pane = self.run(["sh", "-c", script], rows, columns)
        pane.until(lambda: pane.tell("pane_title") == "written", "written")
        shown = pane.shown
        self._tmux("kill-session", "-t", pane.name)
        return shown
