"""Registers the one mark of ours: these tests run without this repository's settings."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(id): the line of the requirements shown")
