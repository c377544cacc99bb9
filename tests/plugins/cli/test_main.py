"""From arguments to an exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from frith.errors import ConfigurationError, InvalidWorkspaceError, SessionLimitError
from frith_cli import main
from frith_cli.cli import cli
from frith_cli.context import App, Interrupted


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command ``fail`` that raises what is put here."""
    errors: list[BaseException] = []

    @click.command()
    @click.option("--json", is_flag=True)
    @click.pass_obj
    def fail(app: App, /, json: bool) -> None:
        app.as_json = json
        raise errors[0]

    monkeypatch.setitem(cli.commands, "fail", fail)
    return errors


@pytest.mark.requirement("R1.12")
def test_a_refusal_is_one_line_with_its_code(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(SessionLimitError(4))
    assert main.run(["fail"]) == 1
    assert capsys.readouterr() == (
        "",
        "frith: Maximum 4 sessions supported. Destroy a session to create a new one. "
        "[MAX_SESSIONS]\n",
    )


def test_with_json_a_refusal_is_json(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(SessionLimitError(4))
    assert main.run(["fail", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err) == {"code": "MAX_SESSIONS", "message": str(SessionLimitError(4))}


@pytest.mark.parametrize(
    "error", [ConfigurationError("x", "is wrong"), InvalidWorkspaceError("/x", "is none")]
)
def test_a_wrong_configuration_has_an_exit_code_of_its_own(
    failing: list[BaseException], error: Exception
) -> None:
    failing.append(error)
    assert main.run(["fail"]) == 2


def test_several_errors_at_once_are_a_line_each(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(ExceptionGroup("", [ConfigurationError("x", "is wrong"), SessionLimitError(4)]))
    assert main.run(["fail"]) == 1
    assert [line.split("[")[-1] for line in capsys.readouterr().err.splitlines()] == [
        "CONFIGURATION]",
        "MAX_SESSIONS]",
    ]


def test_an_internal_error_is_one_line(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(ZeroDivisionError("by\nzero"))
    assert main.run(["fail"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert r"ZeroDivisionError: by\nzero" in err
    assert err.endswith("Run with --debug for the traceback. [INTERNAL]\n")


def test_debug_shows_the_traceback(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(SessionLimitError(4))
    assert main.run(["--debug", "fail"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("[MAX_SESSIONS]\n")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (Interrupted(15), 143), (SystemExit(141), 141)]
)
def test_an_interruption_shows_only_in_the_exit_code(
    failing: list[BaseException],
    error: BaseException,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing.append(error)
    try:
        assert main.run(["fail"]) == code
    except SystemExit as raised:
        assert raised.code == code  # noqa: PT017 - what main() exits with
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "--jsn"],
        ["lss"],
        ["show"],
        ["show", "a", "b"],
        ["new", "a", "b"],
        ["new", "a", "--"],
        ["new", "a", "--json"],
        ["new", "a", "--share", "--no-attach"],
        ["rm", "a", "--force"],
        ["wait", "a", "--timeout", "nan"],
        ["wait", "a", "--timeout", "-1"],
        ["--set", "store", "ls"],
        ["--set", "=json", "ls"],
        ["completion", "csh"],
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error:" in err
    assert "Traceback" not in err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 2
    assert "Exit codes:" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*cli.list_commands(click.Context(cli))])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([name, "--help"]) == 0
    assert "Usage: frith" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("frith ")


def _loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return set(ran.stderr.split())


@pytest.mark.parametrize("package", ["frith", "frith_cli"])
def test_importing_a_package_imports_no_other_distribution(package: str) -> None:
    others = {"anyio", "click", "pluggy", "pydantic", "rich", "structlog"}
    assert not _loaded_by(f"import {package}") & others


@pytest.mark.parametrize("arguments", ["--help", "new --help", "completion zsh"])
def test_help_and_completion_import_only_click(arguments: str) -> None:
    code = f"from frith_cli.main import run; assert run({arguments.split()!r}) == 0"
    assert not _loaded_by(code) & {"frith", "pydantic", "rich", "anyio"}
