"""Stores for the laboratory: one that keeps its promises, and its flawed brothers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spinney_json import spinney_providers
from spinney_testing._opening import Opening

sys.path.insert(0, str(Path(__file__).parent))  # processes of the laboratory import it from there

import flawed_store


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    workspace = tmp_path.resolve() / "workspace"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    return workspace


@pytest.fixture
def json_store(workspace: Path) -> Opening:
    (spec,) = spinney_providers()
    return Opening(spec, spec.config(), workspace)


@pytest.fixture
def flawed(workspace: Path) -> Callable[[str], Opening]:
    """Return what gives the plain store with one flaw, or with none if it is ''."""

    def of(flaw: str) -> Opening:
        return Opening(flawed_store.SPEC, flawed_store.FlawedOptions(flaw=flaw), workspace)

    return of
