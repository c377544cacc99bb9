"""What importing the core costs its host."""

from __future__ import annotations

import subprocess
import sys

import pytest

import spinney

PLUGINS = {"spinney_json", "spinney_git", "spinney_pty", "spinney_log", "spinney_cli"}


def _loaded_by(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return set(ran.stdout.split())


@pytest.mark.requirement("R6.1")
def test_importing_the_core_and_all_its_names_loads_no_plugin() -> None:
    loaded = _loaded_by("from spinney import *; import spinney.manager")
    assert not loaded & PLUGINS


def test_importing_the_core_alone_does_not_load_the_manager() -> None:
    assert "spinney.manager" not in _loaded_by("from spinney import hookimpl")


def test_every_public_name_is_there() -> None:
    assert set(spinney.__all__) <= set(dir(spinney))
    assert all(getattr(spinney, name) is not None for name in spinney.__all__)


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = spinney.nothing_of_that_name


def test_what_nobody_is_shown_loads_no_structlog() -> None:
    assert "structlog" not in _loaded_by("from spinney.logs import log; log.info('event')")
    assert "structlog" in _loaded_by("from spinney.logs import log; log.warning('event')")
