"""The configuration of a manager, and the options of its plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from frith import ManagerConfig, Options
from frith.errors import ConfigurationError


class Cache(Options):
    """Options of some plugin."""

    size: int = 3


def of(**values: Any) -> ManagerConfig:
    return ManagerConfig.of(workspace=Path("/workspace"), **values)


@pytest.mark.requirement("R2.3")
def test_only_the_workspace_must_be_given() -> None:
    config = of()
    assert config.workspace == Path("/workspace")
    assert config.max_sessions == 4
    assert (config.store, config.workspace_provider, config.recovery, config.terminal) == (
        "json", "git", "git", "pty",
    )  # fmt: skip
    assert config.terminate_grace == 5.0


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError):
        of().store = "sqlite"


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("stroe", "store"), ("max_session", "max_sessions"), ("hook_timout", "hook_timeout")],
)
def test_an_unknown_key_is_refused_and_the_nearest_named(key: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        of(**{key: 1})
    assert (refused.value.key, refused.value.suggestion) == (key, nearest)
    assert str(refused.value).endswith(f"Did you mean {nearest!r}?")


def test_an_unknown_key_near_to_none_names_none() -> None:
    with pytest.raises(ConfigurationError) as refused:
        of(zzz=1)
    assert refused.value.suggestion is None
    assert "zzz" in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_sessions", 0),
        ("max_sessions", "many"),
        ("terminate_grace", -1),
        ("hook_timeout", 0),
        ("broken_creating_hook", "perhaps"),
        ("command", "a string is no argument vector"),
        ("store", None),
        ("options", []),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as refused:
        of(**{key: value})
    assert refused.value.key.split(".")[0] == key


@pytest.mark.parametrize("workspace", ["", ".", "workspace", "./workspace"])
def test_a_relative_workspace_is_refused(workspace: str) -> None:
    with pytest.raises(ConfigurationError, match="must be an absolute path") as refused:
        ManagerConfig.of(workspace=workspace)
    assert refused.value.key == "workspace"


@pytest.mark.parametrize("workspace", [None, 3, ["/workspace"]])
def test_a_workspace_that_is_no_path_is_refused(workspace: object) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ManagerConfig.of(workspace=workspace)
    assert refused.value.key == "workspace"


def test_a_missing_workspace_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="workspace"):
        ManagerConfig.of()


def test_a_plugin_gets_its_section_as_its_model() -> None:
    config = of(options={"plugin": {"cache": {"size": 5}}, "store": {"json": {"size": 7}}})
    assert config.plugin_options("cache", Cache) == Cache(size=5)
    assert config.section("store", "json", Cache) == Cache(size=7)


def test_a_section_that_is_not_given_has_its_defaults() -> None:
    assert of().plugin_options("cache", Cache) == Cache(size=3)


def test_an_unknown_option_is_refused_with_its_whole_key() -> None:
    config = of(options={"plugin": {"cache": {"siez": 5}}})
    with pytest.raises(ConfigurationError) as refused:
        config.plugin_options("cache", Cache)
    assert refused.value.key == "options.plugin.cache.siez"
    assert refused.value.suggestion == "size"


def test_a_wrong_option_is_refused_with_its_whole_key() -> None:
    config = of(options={"plugin": {"cache": {"size": "big"}}})
    with pytest.raises(ConfigurationError) as refused:
        config.plugin_options("cache", Cache)
    assert refused.value.key == "options.plugin.cache.size"
