"""The settings: where they come from, and what is said of wrong ones."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frith.config import ManagerConfig
from frith.errors import ConfigurationError
from frith_cli.config import KEYS, VARIABLES, Layer, read_settings


def _config(workspace: Path, environ: dict[str, str] | None = None, **flags: str) -> ManagerConfig:
    written = [(f"--set {key}={value}", key, value) for key, value in flags.items()]
    return read_settings(workspace, environ or {}, written).config


def test_without_settings_the_defaults_apply_with_the_terminal_keeper(
    tmp_path: Path,
) -> None:
    assert _config(tmp_path) == ManagerConfig(workspace=tmp_path, terminal="keeper")


def test_a_setting_may_choose_a_terminal_that_ends_with_the_command(tmp_path: Path) -> None:
    assert _config(tmp_path, terminal="pty").terminal == "pty"


def test_dot_frith_toml_is_read(tmp_path: Path) -> None:
    (tmp_path / ".frith.toml").write_text('max_sessions = 9\ncommand = ["sh", "-l"]\n')
    config = _config(tmp_path)
    assert (config.max_sessions, config.command) == (9, ("sh", "-l"))


def test_tool_frith_of_pyproject_toml_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.frith]\nmax_sessions = 9\n")
    assert _config(tmp_path).max_sessions == 9


def test_a_pyproject_toml_without_the_table_of_frith_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (tmp_path / ".frith.toml").write_text("max_sessions = 9\n")
    assert _config(tmp_path).max_sessions == 9


def test_two_files_that_configure_frith_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.frith]\n")
    (tmp_path / ".frith.toml").write_text("")
    with pytest.raises(ConfigurationError, match="keep one"):
        _config(tmp_path)


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    (tmp_path / ".frith.toml").write_text("max_sessions = 9\nterminate_grace = 1\n")
    config = _config(tmp_path, {"FRITH_MAX_SESSIONS": "7"})
    assert (config.max_sessions, config.terminate_grace) == (7, 1.0)


def test_a_flag_overrides_the_environment(tmp_path: Path) -> None:
    assert _config(tmp_path, {"FRITH_MAX_SESSIONS": "7"}, max_sessions="5").max_sessions == 5


def test_every_key_has_a_variable() -> None:
    assert sorted(VARIABLES.values()) == sorted(KEYS)


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    assert _config(tmp_path, {"FRITH_STORE": ""}).store == "json"


def test_frith_disable_plugins_names_them_with_commas(tmp_path: Path) -> None:
    config = _config(tmp_path, {"FRITH_DISABLE_PLUGINS": "log, git,"})
    assert config.blocked_plugins == {"log", "git"}


@pytest.mark.parametrize("source", ["file", "variable", "flag"])
def test_a_command_is_split_as_a_shell_would(tmp_path: Path, source: str) -> None:
    text = "sh -c 'echo a b'"
    if source == "file":
        (tmp_path / ".frith.toml").write_text(f'command = "{text}"\n')
    environ = {"FRITH_COMMAND": text} if source == "variable" else {}
    flags = {"command": text} if source == "flag" else {}
    assert _config(tmp_path, environ, **flags).command == ("sh", "-c", "echo a b")


def test_a_flag_may_hold_any_toml_value(tmp_path: Path) -> None:
    assert _config(tmp_path, command='["a b", "c"]').command == ("a b", "c")


def test_options_are_merged_key_by_key(tmp_path: Path) -> None:
    (tmp_path / ".frith.toml").write_text("[options.store.json]\na = 1\nb = 2\n")
    flags = [("--set options.store.json.b=3", "options.store.json.b", "3")]
    assert read_settings(tmp_path, {}, flags).config.options == {
        "store": {"json": {"a": 1, "b": 3}}
    }
    assert _config(tmp_path).options == {"store": {"json": {"a": 1, "b": 2}}}


_OUTSIDE = [
    "options.plugin.log.file",
    "options.store.json.file",
    "options.store.json.locks",
    "options.terminal.keeper.directory",
]


def _write_file(workspace: Path, dotted: str, value: str) -> None:
    table, _, key = dotted.rpartition(".")
    (workspace / ".frith.toml").write_text(f"[{table}]\n{key} = '{value}'\n")


@pytest.mark.parametrize("dotted", _OUTSIDE)
@pytest.mark.parametrize("value", ["/tmp/x", "../x", "link/x"])
def test_a_file_of_the_repository_names_no_path_outside_it(
    tmp_path: Path, dotted: str, value: str
) -> None:
    workspace = tmp_path / "clone"
    workspace.mkdir()
    (workspace / "link").symlink_to("..")
    _write_file(workspace, dotted, value)
    with pytest.raises(ConfigurationError, match="outside it") as caught:
        _config(workspace)
    assert caught.value.key == dotted
    assert str(caught.value).startswith(str(workspace / ".frith.toml"))


@pytest.mark.parametrize("value", ["x", ".git/frith.log", "{workspace}/x"])
def test_a_file_of_the_repository_may_name_a_path_in_it(tmp_path: Path, value: str) -> None:
    path = value.format(workspace=tmp_path)
    _write_file(tmp_path, "options.plugin.log.file", path)
    assert _config(tmp_path).options["plugin"]["log"]["file"] == path


def test_the_user_may_name_a_path_outside_the_repository(tmp_path: Path) -> None:
    path = str(tmp_path.parent / "frith.log")
    environ = {"FRITH_OPTIONS": f"{{plugin = {{log = {{file = '{path}'}}}}}}"}
    assert _config(tmp_path, environ).options["plugin"]["log"]["file"] == path
    flag = ("--set …", "options.plugin.log.file", path)
    assert read_settings(tmp_path, {}, [flag]).config.options["plugin"]["log"]["file"] == path


def test_options_from_the_environment_are_merged_with_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / ".frith.toml").write_text("[options.store.json]\na = 1\n")
    config = _config(tmp_path, {"FRITH_OPTIONS": "{store = {json = {b = 2}}}"})
    assert config.options == {"store": {"json": {"a": 1, "b": 2}}}


@pytest.mark.parametrize(
    ("written", "sent"), [("Ctrl-]", b"\x1d"), ("ctrl-b", b"\x02"), ("^B", b"\x02"), ("^@", b"\0")]
)
def test_a_detach_key_is_a_control_key(tmp_path: Path, written: str, sent: bytes) -> None:
    assert read_settings(tmp_path, {"FRITH_DETACH_KEY": written}).detach_key == sent


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize(
    ("text", "key", "suggestion"),
    [
        ("max_session = 3", "max_session", "max_sessions"),
        ("max_sessions = 0", "max_sessions", None),
        ("max_sessions = 'many'", "max_sessions", None),
        ("store = 3", "store", None),
        ("command = ''", "command", None),
        ('command = "\'"', "command", None),
        ("command = [1]", "command.0", None),
        ("detach_key = 'x'", "detach_key", None),
        ("detach_key = 3", "detach_key", None),
        ("workspace = 'x'", "workspace", None),
        ("options = 3", "options", None),
        ("options.store = 3", "options.store", None),
    ],
)
def test_an_error_names_the_file_the_key_and_the_nearest_valid_key(
    tmp_path: Path, text: str, key: str, suggestion: str | None
) -> None:
    file = tmp_path / ".frith.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        _config(tmp_path)
    assert (caught.value.key, caught.value.suggestion) == (key, suggestion)
    assert str(caught.value).startswith(f"{file}: Configuration {key!r}")
    assert str(caught.value).count(str(file)) == 1


def test_an_error_names_the_environment_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^environment variable FRITH_MAX_SESSIONS: "):
        _config(tmp_path, {"FRITH_MAX_SESSIONS": "many"})


def test_an_error_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^--set stor=x: .* Did you mean 'store'\?"):
        _config(tmp_path, stor="x")


def test_an_error_names_the_last_layer_that_sets_the_value(tmp_path: Path) -> None:
    (tmp_path / ".frith.toml").write_text("max_sessions = 9\n")
    with pytest.raises(ConfigurationError, match=r"^--set max_sessions=0: "):
        _config(tmp_path, max_sessions="0")


def test_an_error_of_the_manager_names_the_layer(tmp_path: Path) -> None:
    (tmp_path / ".frith.toml").write_text("[options.store.json]\nfil = 'x'\n")
    error = ConfigurationError("options.store.json.fil", "unknown key", known=["file"])
    blamed = read_settings(tmp_path, {}).blame(error)
    assert str(blamed).startswith(f"{tmp_path / '.frith.toml'}: ")


def test_an_error_about_a_key_that_no_layer_sets_is_unchanged(tmp_path: Path) -> None:
    error = ConfigurationError("options.store.other.url", "Field required")
    settings = read_settings(tmp_path, {"FRITH_STORE": "json"})
    assert str(settings.blame(error)).startswith("Configuration 'options.store.other.url'")


def test_a_misspelled_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="FRITH_MAX_SESSIONS"):
        _config(tmp_path, {"FRITH_MAX_SESSION": "3"})


def test_other_variables_with_the_prefix_are_ignored(tmp_path: Path) -> None:
    assert _config(tmp_path, {"FRITH_REMOTE_TOKEN": "x", "FRITH_SESSION_ID": "y"})


@pytest.mark.parametrize("name", [".frith.toml", "pyproject.toml"])
@pytest.mark.parametrize("content", [b"max_sessions = ", b"\xff"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{name}': cannot be read"):
        _config(tmp_path)


def test_tool_frith_must_be_a_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nfrith = 3\n")
    with pytest.raises(ConfigurationError, match="table"):
        _config(tmp_path)


@given(st.text(min_size=1), st.text())
def test_any_flag_is_accepted_or_refused_with_a_configuration_error(key: str, value: str) -> None:
    with suppress(ConfigurationError):
        read_settings(Path("/nowhere"), {}, [(f"--set {key}={value}", key, value)])


def test_a_layer_sets_what_lies_within_its_values() -> None:
    layer = Layer("here", {"command": ["a"], "options": {"store": {}}})
    assert layer.sets("command.0")
    assert layer.sets("options.store")
    assert not layer.sets("options.store.json")


@pytest.mark.parametrize("name", [".frith.toml", "pyproject.toml"])
def test_a_fifo_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        _config(tmp_path)
