"""The conformance suites: what a plugin must do, as tests that its author runs.

Without a line of code, against any installed provider or plugin by its name::

    pytest --pyargs frith_testing --frith-provider store:mine

Or as a class of tests, which may say more of the provider than its name does::

    from frith_testing.store import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def provider(self) -> ProviderSpec:
            return next(iter(my_plugin.frith_providers()))

There is one suite for each port, in the modules ``store``, ``workspace``, ``recovery``, ``spawner``
and ``status``, and one for lifecycle hooks, in ``lifecycle``. Each test is a *promise*, runs on
asyncio and on trio, and has its line in the report at the end. They come with the extra
``frith[testing]``.
"""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from frith_testing.harness.promises import deviation  # noqa: E402 - its asserts are rewritten, too

__all__ = ["deviation"]
