"""Each error that a user can meet is on the page on troubleshooting. Run by ``tox -e docs``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from frith import errors

DOCS = Path(__file__).parents[2] / "docs"
TROUBLESHOOTING = (DOCS / "howto" / "troubleshoot.md").read_text("utf-8")
REFERENCE = (DOCS / "reference" / "errors.md").read_text("utf-8")
BASES = {"FRITH_ERROR", "SESSION_FAILED", "TERMINAL_FAILED", "WORKSPACE_FAILED"}
"""Codes of classes that only serve as bases."""
CODES = {
    error.code
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.FrithError)
} | set(re.findall(r"`([A-Z]+_[A-Z_]+|INTERNAL)`", REFERENCE))


@pytest.mark.parametrize("code", sorted(CODES - BASES))
def test_an_error_is_on_the_page_on_troubleshooting(code: str) -> None:
    assert f"`{code}`" in TROUBLESHOOTING
