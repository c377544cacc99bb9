"""What importing the core costs its host."""

from __future__ import annotations

import subprocess
import sys

import pytest

import frith

PLUGINS = {"frith_json", "frith_git", "frith_pty", "frith_log", "frith_cli"}


def _loaded_by(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return set(ran.stdout.split())


@pytest.mark.requirement("R6.1")
def test_importing_the_core_and_all_its_names_loads_no_plugin() -> None:
    loaded = _loaded_by("from frith import *; import frith.manager")
    assert not loaded & PLUGINS


def test_importing_the_core_alone_does_not_load_the_manager() -> None:
    assert "frith.manager" not in _loaded_by("from frith import hookimpl")


def test_every_public_name_is_there() -> None:
    assert set(frith.__all__) <= set(dir(frith))
    assert all(getattr(frith, name) is not None for name in frith.__all__)


def test_a_name_that_frith_does_not_offer_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = frith.nothing_of_that_name


def test_an_event_that_is_not_shown_loads_no_structlog() -> None:
    assert "structlog" not in _loaded_by("from frith.logs import log; log.info('event')")
    assert "structlog" in _loaded_by("from frith.logs import log; log.warning('event')")
