"""How the command prints."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from frith_cli import console


def _on_a_terminal(code: str) -> bytes:
    """Return what ``code`` shows on a terminal of 40 columns."""
    reader, terminal = os.openpty()
    environ = os.environ | {"COLUMNS": "40", "TERM": "xterm"}
    ran = subprocess.Popen(
        [sys.executable, "-c", f"from frith_cli import console\n{code}"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environ,
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(reader, 4096):
            shown += piece
    except OSError:  # EIO: the other end is closed
        pass
    os.close(reader)
    assert ran.wait() == 0
    return shown


def test_a_table_in_a_pipe_is_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    console.write_table(("NAME", "BRANCH"), [("a", "feature/a"), ("long-name", "b")])
    assert capsys.readouterr().out == "NAME       BRANCH\na          feature/a\nlong-name  b\n"


def test_a_table_in_a_pipe_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    console.write_table(("NAME", "PATH"), [("a", "x" * 500)])
    assert "x" * 500 in capsys.readouterr().out


def test_a_table_on_a_terminal_is_ruled_and_folded() -> None:
    shown = _on_a_terminal("console.write_table(('NAME', 'PATH'), [('a', 'x' * 60)])")
    assert "─" in shown.decode()
    assert max(len(line) for line in shown.decode().splitlines()) < 80
    assert shown.count(b"x") == 60


def _narrow(*cells: str) -> list[str]:
    """Return the lines of a table of one row in which only the first column is needed."""
    columns = ("NAME", "BRANCH", "ID", "OWNER")
    call = f"console.write_table({columns}, [{cells}], optional=('OWNER', 'ID', 'BRANCH'))"
    return re.sub(r"\x1b\[\d*m", "", _on_a_terminal(call).decode()).splitlines()


def test_a_table_that_fits_is_shown_whole() -> None:
    head, _, row = _narrow("login", "fix/login", "0123abcd", "42")
    assert head.split() == ["NAME", "BRANCH", "ID", "OWNER"]
    assert row.split() == ["login", "fix/login", "0123abcd", "42"]


def test_optional_columns_are_omitted_on_a_narrow_terminal() -> None:
    head, _, row = _narrow("login-form", "feature/login-form", "0123abcd", "42@elsewhere")
    assert head.split() == ["NAME", "BRANCH"]
    assert row.split() == ["login-form", "feature/login-form"]


def test_a_column_that_is_too_wide_alone_is_cut() -> None:
    head, _, row = _narrow("login" * 10, "feature/login", "0123abcd", "42")
    assert head.split() == ["NAME"]
    assert row.strip().startswith("loginlogin")
    assert row.endswith("…")
    assert len(row) <= 40


def test_markup_in_cells_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.write_table(("[b]", "B"), [("[red]a[/red]", ":smile: [/]")])
    out = capsys.readouterr().out
    assert "[red]a[/red]" in out
    assert ":smile: [/]" in out


@pytest.mark.requirement("R8.3")
def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    console.write_table(("A",), [("a\x1b[2Jb\nc",)])
    console.note("d\x1b]0;e\x07\u202e")
    console.write_json({"f": "\x9b2J"})
    printed = "".join(capsys.readouterr())
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(printed)
    assert r"a\x1b[2Jb\nc" in printed


def test_json_is_the_same_in_any_locale(capsys: pytest.CaptureFixture[str]) -> None:
    console.write_json({"branch": "zweig/ä-漢-\udc80"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"branch": "zweig/ä-漢-\udc80"}


def test_progress_shows_on_a_terminal() -> None:
    shown = _on_a_terminal("with console.progress('Wor\\x1bking'): pass")
    assert rb"Wor\x1bking" in shown


def test_progress_shows_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("Working"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_closed_pipe_ends_the_command_without_a_message() -> None:
    code = "from frith_cli.console import write\nwhile True: write('x' * 9999)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        ran.stdout.close()
        assert ran.stderr.read() == b""
    assert ran.returncode == 141
