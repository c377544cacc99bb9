"""The built-in status provider does what frith asks of one."""

from __future__ import annotations

import pytest

import frith_status
from frith.providers import ProviderSpec
from frith_testing.status import StatusConformance


class TestStatus(StatusConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = frith_status.frith_providers()
        return spec
