"""Commands that other distributions add through the entry-point group ``frith.commands``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frith_cli.main import run

from .conftest import Frith, Outcome

Install = Callable[..., None]

GREET = """
import click

@click.command()
@click.argument("name")
@click.option("--code", type=int)
@click.pass_obj
def greet(app, name, code):
    "Greet NAME."
    print(f"Hello {name} in {app.workspace}")
    return code
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one command, and a module ``NAME_module`` for it."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def make(name: str, source: str, distribution: str = "acme", points_to: str = "") -> None:
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
        target = points_to or f"{name}_module:{name}"
        (info / "entry_points.txt").write_text(f"[frith.commands]\n{name} = {target}\n")
        (site / f"{name}_module.py").write_text(source)

    yield make
    for name in [name for name in sys.modules if name.endswith("_module")]:
        del sys.modules[name]


def test_an_installed_command_runs_with_the_options_in_front_of_it(
    install: Install, frith: Frith
) -> None:
    install("greet", GREET)
    assert frith("-w", ".", "greet", "Ada") == Outcome(0, "Hello Ada in .\n", "")
    assert frith("greet", "Ada", "--code", "4").code == 4


def test_an_installed_command_is_listed_with_its_help(install: Install, frith: Frith) -> None:
    install("greet", GREET)
    assert re.search(r"^  greet +Greet NAME\.$", frith("--help").out, re.MULTILINE)
    assert "Usage: frith greet" in frith("greet", "--help").out


def test_an_installed_command_is_not_imported_for_another_one(
    install: Install, frith: Frith
) -> None:
    install("greet", GREET)
    assert frith("ls").code == 0
    assert "greet_module" not in sys.modules


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("greet = 'text'", "is not a click command: 'text'"),
    ],
)
def test_a_broken_command_is_listed_with_the_reason_and_refused(
    install: Install, frith: Frith, source: str, reason: str
) -> None:
    install("greet", source)
    listed = frith("--help")
    assert listed.code == 0
    shown = " ".join(listed.out.split())
    assert "greet The command 'greet' of acme" in shown
    assert reason in shown
    for arguments in (("Ada",), ("--help",), ()):
        refused = frith("greet", *arguments)
        assert (refused.code, refused.out) == (1, "")
        assert reason in refused.err
        assert refused.err.endswith("[PLUGIN_FAILED]\n")


def test_a_built_in_command_cannot_be_replaced(install: Install, frith: Frith) -> None:
    install("ls", "raise AssertionError")
    assert frith("ls", "--json").json == []
    helped = frith("--help").out
    assert "Ignored commands:\n  ls  acme cannot replace a built-in command." in helped
    assert len(re.findall(r"^  ls ", helped, re.MULTILINE)) == 2


def test_a_command_of_two_distributions_is_refused_with_both_names(
    install: Install, frith: Frith
) -> None:
    install("greet", GREET)
    install("greet", GREET, distribution="other")
    refused = frith("greet", "Ada")
    assert refused.code == 1
    assert "acme and other" in refused.err


@pytest.mark.parametrize("source", ["flag", "file", "variable"])
def test_a_blocked_command_is_not_imported(
    install: Install, frith: Frith, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    install("greet", GREET)
    if source == "file":
        Path(".frith.toml").write_text('blocked_plugins = ["greet"]\n')
    if source == "variable":
        monkeypatch.setenv("FRITH_DISABLE_PLUGINS", "greet")
    flag = ("--set", "blocked_plugins=greet") if source == "flag" else ()
    refused = frith(*flag, "greet", "Ada")
    assert refused.code == 1
    assert "is blocked" in refused.err
    assert "greet_module" not in sys.modules


def test_wrong_settings_do_not_break_the_help(install: Install, frith: Frith) -> None:
    install("greet", GREET)
    Path(".frith.toml").write_text("max_session = 3\n")
    assert "'max_session'" in frith("--help").out
    assert frith("greet", "Ada").code == 2


def test_an_error_of_an_installed_command_is_one_line(install: Install, frith: Frith) -> None:
    install("greet", GREET.replace("    print(", "    raise LookupError(app) or ("))
    failed = frith("greet", "Ada")
    assert failed.code == 1
    assert failed.err.count("\n") == 1
    assert failed.err.endswith("[INTERNAL]\n")


def test_installed_commands_are_listed_as_plugins(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("greet", GREET)
    install("ls", "", distribution="other")
    install("broken", "1 / 0", distribution="third")
    install("barred", "", distribution="fourth")
    assert run(["--set", "blocked_plugins=barred", "plugins", "--json"]) == 0
    rows = {each["distribution"]: each for each in json.loads(capsys.readouterr().out)}
    assert rows["acme"]["state"] == "loaded"
    assert rows["acme"]["providers"] == ["command:greet"]
    assert rows["other"]["state"] == "failed"
    assert "cannot replace" in rows["other"]["reason"]
    assert "ZeroDivisionError" in rows["third"]["reason"]
    assert rows["fourth"]["state"] == "blocked"
