"""The conformance suites: what a plugin must do, as tests that its author runs.

A suite is a class of tests. Subclass it in a test module and say what to test in one fixture::

    from spinney_testing.store import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def provider(self) -> ProviderSpec:
            return next(iter(my_plugin.spinney_providers()))

There is one for each port and one for lifecycle hooks: ``store.StoreConformance``,
``workspace.WorkspaceConformance``, ``recovery.RecoveryConformance``, ``spawner.SpawnerConformance``
and ``lifecycle.LifecyclePluginConformance``. Each test runs on asyncio and on trio. They need the
extra ``spinney[testing]``, no pytest plugin of ours and no setting.
"""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))
