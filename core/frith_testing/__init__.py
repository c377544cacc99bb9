"""The conformance suites: tests that every plugin must pass, run by its author.

They test any installed provider or plugin by its name, without a line of code::

    pytest --pyargs frith_testing --frith-provider store:mine

A class of tests can set up more than a name says::

    from frith_testing.store import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def provider(self) -> ProviderSpec:
            return next(iter(my_plugin.frith_providers()))

There is one suite for each port, in the modules ``store``, ``workspace``, ``recovery``, ``spawner``
and ``status``, and one for lifecycle hooks, in ``lifecycle``. Each test is a *promise*; it
runs on asyncio and on trio and has a line in the report. The suites come with the extra
``frith[testing]``.
"""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from frith_testing.harness.promises import deviation  # noqa: E402 - its asserts are rewritten, too

__all__ = ["deviation"]
