"""Real programs: what a pane shows that attached late, against one that ran them itself."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from anyio.to_thread import run_sync

from frith.model import Details, Session, SessionStatus, now
from frith.ports import Size, SpawnRequest, Terminal
from frith_cli.attach.client import attach
from frith_pty.spawner import open_spawner
from frith_terminals.options import TerminalOptions
from frith_vt.pen import PLAIN
from views import viewed

from .panes import Pane, Panes, Shown

SIZE, OTHER = Size(24, 80), Size(30, 101)
ENV = {
    "TERM": "xterm-256color",
    "PS1": "$ ",
    "LC_ALL": "C.UTF-8",
    "LESS": "",
    "VIMINIT": "set nocp",
}
FILE = "".join(f"line {n} \\t" + "漢字 word " * (n % 12) + "\n" for n in range(200))
SESSION = Session(
    id=str(uuid4()),
    name="one",
    status=SessionStatus.ACTIVE,
    branch="feature/one",
    worktree_path="/workspace/.worktrees/one",
    created_at=now(),
    last_activity=now(),
    details=Details(terminal="pty"),
)


@dataclass(frozen=True)
class Program:
    """A program, what is typed, and what is then seen."""

    command: tuple[str, ...]
    typed: tuple[tuple[str, str], ...] = ()
    """Keys, and the text to wait for after them."""
    first: str = "$"


PROGRAMS = {
    "bash in the middle of a line": Program(
        ("bash", "--norc", "--noprofile", "-i"),
        (("echo one; printf '\\e[31mred '\r", "red $"), ("git commit -m 'wi", "commit -m 'wi")),
    ),
    "vim": Program(
        ("vim", "-u", "NONE", "-i", "NONE", "-n", "file"),
        ((":set number | syntax on\r", "  1 line 0"), ("50Giinserted", "inserted")),
        "line 5",
    ),
    "less": Program(("less", "file"), (("  ", "line 50"), ("/line 9\r", "line 90")), "line 5"),
    "python": Program((sys.executable, "-q"), (("x = {1:\r", "..."), ("  'two", "two")), ">>>"),
    "curses": Program(
        (sys.executable, str(Path(__file__).with_name("mouse_and_colours.py"))),
        (("abc", "keys: 3"),),
        "colour 15",
    ),
}


@pytest.fixture
def anyio_backend() -> str:
    """These are about what is shown, not about an event loop."""
    return "asyncio"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text(FILE)
    return tmp_path


class Stage:
    """A terminal of frith's, and panes that show it."""

    def __init__(self, panes: Panes, terminal: Terminal, directory: Path) -> None:
        self.panes, self.terminal, self.directory = panes, terminal, directory

    async def direct(self, command: tuple[str, ...], size: Size = SIZE) -> Pane:
        """Return a pane in which tmux itself runs the command."""
        env = [f"{name}={value}" for name, value in ENV.items()]
        command = ("env", "-C", str(self.directory), *env, *command)
        return await run_sync(self.panes.run, [*command], size.rows, size.columns)

    @asynccontextmanager
    async def attached(self, size: Size = SIZE, *, read_only: bool = False) -> AsyncIterator[Pane]:
        """Show the terminal in a pane."""
        command = ["sleep", "infinity"]
        pane = await run_sync(self.panes.run, command, size.rows, size.columns)
        fd = os.open(await run_sync(pane.tell, "pane_tty"), os.O_RDWR | os.O_NOCTTY)
        try:
            async with anyio.create_task_group() as tasks:

                async def show() -> None:
                    async with viewed(self.terminal, size=size, read_only=read_only) as view:
                        await attach(
                            view,
                            SESSION,
                            detach_key=b"\x1d",
                            read_only=read_only,
                            source=fd,
                            target=fd,
                        )

                tasks.start_soon(show)
                yield pane
                tasks.cancel_scope.cancel()
        finally:
            os.close(fd)


@asynccontextmanager
async def staged(
    panes: Panes, workspace: Path, command: tuple[str, ...], **options: Any
) -> AsyncIterator[Stage]:
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    async with open_spawner(TerminalOptions(**options), str(workspace)) as spawner:
        request = SpawnRequest(SESSION.id, command, str(workspace), str(workspace), ENV, SIZE)
        terminal = await spawner.spawn(request)
        yield Stage(panes, terminal, workspace)
        await terminal.terminate(0)


async def shown(pane: Pane) -> Shown:
    return await run_sync(lambda: pane.shown)


async def alike(one: Pane, other: Pane) -> None:
    """Wait until two panes show the same."""
    with suppress(AssertionError):
        await run_sync(one.until, lambda: one.shown == other.shown, "alike")
    assert await shown(one) == await shown(other)


async def seen(pane: Pane, text: str) -> None:
    await run_sync(pane.until_text, text)


async def played(program: Program, *panes: Pane) -> None:
    """Type what is to be typed into each pane."""
    for pane in panes:
        await seen(pane, program.first)
    for text, expected in program.typed:
        for pane in panes:
            await run_sync(pane.say, text)
            await seen(pane, expected)


@pytest.mark.parametrize("name", PROGRAMS)
async def test_who_attaches_late_sees_what_the_program_shows(
    panes: Panes, workspace: Path, name: str
) -> None:
    program = PROGRAMS[name]
    async with staged(panes, workspace, program.command) as stage:
        direct = await stage.direct(program.command)
        async with stage.attached() as early:
            await played(program, direct, early)
            await alike(early, direct)
        async with stage.attached() as late:
            await alike(late, direct)


@pytest.mark.parametrize("name", PROGRAMS)
async def test_who_attaches_with_another_size_sees_the_program_at_that_size(
    panes: Panes, workspace: Path, name: str
) -> None:
    program = PROGRAMS[name]
    async with staged(panes, workspace, program.command) as stage:
        direct = await stage.direct(program.command)
        async with stage.attached() as early:
            await played(program, direct, early)
        await run_sync(direct.resize, OTHER.rows, OTHER.columns)
        async with stage.attached(OTHER) as late:
            await alike(late, direct)


async def test_a_program_that_never_rests_is_shown_alike_early_and_late(
    panes: Panes, workspace: Path
) -> None:
    async with (
        staged(panes, workspace, ("htop", "-d", "100")) as stage,
        stage.attached() as early,
    ):
        await seen(early, "F10")
        async with stage.attached() as late:
            await alike(late, early)


async def test_the_shell_comes_back_behind_a_program_that_was_attached_to(
    panes: Panes, workspace: Path
) -> None:
    command = ("bash", "--norc", "--noprofile", "-i")
    inside = Program(command, (("echo before; less file\r", "line 5"),))
    async with staged(panes, workspace, command) as stage:
        direct = await stage.direct(command)
        async with stage.attached() as early:
            await played(inside, direct, early)
        async with stage.attached() as late:
            await seen(late, "line 5")
            for pane in (direct, late):
                await run_sync(pane.say, "q")
            await seen(direct, "before")
            await alike(late, direct)


async def test_a_flood_is_followed_by_the_right_screen(panes: Panes, workspace: Path) -> None:
    script = "seq 300000; printf '\\033[1mdone\\033[m> '; exec cat"
    async with staged(panes, workspace, ("sh", "-c", script)) as stage:
        direct = await stage.direct(("sh", "-c", script))
        await seen(direct, "done>")
        async with stage.attached() as late:
            await alike(late, direct)


async def test_the_smallest_window_gives_the_size_if_so_set(panes: Panes, workspace: Path) -> None:
    command = ("sh", "-c", "trap 'stty size' WINCH; while :; do sleep 0.1; done")
    async with (
        staged(panes, workspace, command, size="smallest") as stage,
        stage.attached(Size(20, 70)) as small,
    ):
        await seen(small, "20 70")
        async with stage.attached(Size(30, 60)):
            await seen(small, "20 60")
        await run_sync(small.until, lambda: small.text.count("20 70") == 2, "as before")


async def test_the_latest_window_gives_the_size_and_a_smaller_one_shows_a_part(
    panes: Panes, workspace: Path
) -> None:
    command = ("vim", "-u", "NONE", "-i", "NONE", "-n", "file")
    async with (
        staged(panes, workspace, command) as stage,
        stage.attached(Size(10, 40)) as small,
        stage.attached() as large,
    ):
        await seen(large, "line 5")
        await run_sync(large.say, "iinserted")
        await seen(small, "inserted")
        assert (await shown(small)).rows[0] == (await shown(large)).rows[0][:40]


async def test_who_only_looks_on_changes_nothing(panes: Panes, workspace: Path) -> None:
    async with (
        staged(panes, workspace, ("sh", "-c", "stty size; exec cat")) as stage,
        stage.attached(Size(10, 40), read_only=True) as onlooker,
    ):
        await seen(onlooker, "24 80")
        await run_sync(onlooker.say, "refused\r")
        async with stage.attached() as typist:
            await run_sync(typist.say, "accepted\r")
            await seen(onlooker, "accepted")
            assert "refused" not in await run_sync(lambda: typist.text)


LEFT_BEHIND = (
    r"\033[2;5r \033[4h \033[?6h \033[?7l \033[?25l \033[?1h \033= \033[?1003;1006h \033[3g"
    r" \033(0 \033)0 \016 \033[7m \033[4 q \033]0;agent\007 \033]2;cut off"
)


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("screen", ["", r"\033[?1049h", r"\033[?47h"])
async def test_a_terminal_is_given_back_as_it_was_whatever_the_program_has_left(
    panes: Panes, workspace: Path, when: str, screen: str
) -> None:
    wait, text = ("read line;", "") if when == "early" else ("", "done")
    script = f"stty -echo; {wait} printf '{screen}{text}{LEFT_BEHIND}'; sleep 1000"
    async with staged(panes, workspace, ("sh", "-c", script)) as stage:
        untouched = await run_sync(panes.run, ["sleep", "infinity"], SIZE.rows, SIZE.columns)
        async with stage.attached() as pane:
            if when == "early":
                await run_sync(pane.say, "\r")
            await run_sync(pane.until, lambda: pane.tell("pane_title") == "agent", "named")
        before, after = await shown(untouched), await shown(pane)
        moved = {"cursor_x": "", "cursor_y": ""}
        assert after.state | moved == before.state | moved
        assert pane.tell("pane_title") == untouched.tell("pane_title")
        with open(await run_sync(pane.tell, "pane_tty"), "w") as tty:
            tty.write("\rqqq")
        await run_sync(pane.until, lambda: ("q", PLAIN) in pane.shown.rows[-1], "plain")
