"""The built-in status provider does what spinney asks of one."""

from __future__ import annotations

import pytest

import spinney_status
from spinney.providers import ProviderSpec
from spinney_testing.status import StatusConformance


class TestStatus(StatusConformance):
    @pytest.fixture
    def provider(self) -> ProviderSpec:
        (spec,) = spinney_status.spinney_providers()
        return spec
