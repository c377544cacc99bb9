"""Correct and flawed stores for the laboratory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from frith_json import frith_providers
from frith_testing.faults.shim import unavailable
from frith_testing.harness.opening import Opening

sys.path.insert(0, str(Path(__file__).parent))  # child processes import the stores from there

import flawed_store


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def repository(workspace: Path, new_repository: Callable[[Path], Path]) -> Path:
    return new_repository(workspace)


@pytest.fixture
def json_store(repository: Path) -> Opening:
    (spec,) = frith_providers()
    return Opening(spec, spec.config(), repository)


@pytest.fixture
def flawed(workspace: Path) -> Callable[[str], Opening]:
    """Return a function that opens the plain store with one flaw, or with none if it is empty."""

    def of(flaw: str) -> Opening:
        return Opening(flawed_store.SPEC, flawed_store.FlawedOptions(flaw=flaw), workspace)

    return of


@pytest.fixture
def interception() -> None:
    if (reason := unavailable()) is not None:
        pytest.skip(reason)
