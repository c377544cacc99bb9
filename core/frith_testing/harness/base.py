"""The base classes of the suites: complete subclasses only, both backends, the opened provider."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from frith.providers import ProviderSpec, Role
from frith_testing.harness.loops import PlainLoop
from frith_testing.harness.opening import Opening as Opening
from frith_testing.harness.promises import Deviation, expected_failure, promise, promise_of
from frith_testing.harness.report import DOES_NOT_APPLY, LEFT_OUT
from frith_testing.harness.threads import default_threads_taken

PATIENCE = 30.0
"""Seconds after which a test gives up on something that should happen at once."""


class Conformance:
    """Base of all suites. A subclass that tests less than its suite cannot be defined."""

    __conformance__ = True  # marks a suite for the pytest plugin, which does not import this module
    pytestmark: ClassVar[Any] = pytest.mark.anyio
    suite: ClassVar[str] = ""
    """Name of the suite in the report."""
    subject: ClassVar[str] = ""
    """Name of the fixture that a subclass must define: the provider or plugin under test."""
    _standard: ClassVar[bool] = True

    def __init_subclass__(
        cls, *, suite: str | None = None, subject: str | None = None, **kwargs: Any
    ) -> None:
        """Check a subclass.

        Args:
            suite: name of the suite; only the suites themselves give it.
            subject: the fixture that a subclass must define; only the suites themselves give it.
            kwargs: arguments of other bases.

        Raises:
            TypeError: pytest would not collect the class, the fixture is missing, or a standard
                test is overridden or removed without a deviation.
        """
        super().__init_subclass__(**kwargs)
        cls._standard = suite is not None
        if suite is not None:
            cls.suite = suite
            cls.subject = subject or cls.subject
            return
        if not cls.__name__.startswith("Test") or cls.__dict__.get("__test__") is False:
            raise TypeError(f"{cls.__name__}: rename it Test…, or pytest does not collect it")
        if not any(cls.subject in vars(base) for base in cls.__mro__ if not _is_standard(base)):
            raise TypeError(
                f"{cls.__name__} does not define the fixture {cls.subject!r}: "
                f"@pytest.fixture def {cls.subject}(self) must return the {cls.subject} under test"
            )
        _apply_deviations(cls)

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest) -> None:
        """Skip a slow promise if ``--frith-quick`` is given."""
        if promise_of(request.function).is_slow and request.config.getoption("--frith-quick"):
            pytest.skip(LEFT_OUT)

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        """Run each test on both backends, on asyncio with a :class:`PlainLoop`."""
        plain = {"loop_factory": PlainLoop} if request.param == "asyncio" else {}
        return request.param, plain


def _is_standard(cls: type) -> bool:
    return vars(cls).get("_standard") is True or cls is object


def standard_tests(cls: type) -> dict[str, FunctionType]:
    """Return the promises of the suite that ``cls`` belongs to: its tests, by name."""
    return {
        name: test
        for base in reversed(cls.__mro__)
        if _is_standard(base)
        for name, test in vars(base).items()
        if name.startswith("test_")
    }


def _apply_deviations(cls: type) -> None:
    standard = standard_tests(cls)
    for name, test in standard.items():
        found = inspect.getattr_static(cls, name, None)
        if isinstance(found, Deviation):
            setattr(cls, name, expected_failure(test, found.reason))
        elif found is not test and not hasattr(found, "__deviation__"):
            raise TypeError(
                f"{cls.__name__} overrides {name}, a standard test. If the provider cannot keep "
                f"that promise, state the reason instead: {name} = deviation('reason')"
            )
    for name in dir(cls):
        if isinstance(inspect.getattr_static(cls, name), Deviation):
            raise TypeError(f"{cls.__name__}: no standard test {name} to deviate from")


class ProviderConformance(Conformance, suite="provider", subject="provider"):
    """Base of the suites for providers.

    A subclass defines the fixture ``provider``, which returns the
    :class:`~frith.providers.ProviderSpec`. The suite of a role defines the fixture ``operate``. A
    subclass may override ``options``, the options to open the
    provider with, and ``workspace``, the directory of the workspace.
    """

    role: ClassVar[Role]

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest, provider: ProviderSpec) -> None:
        """Skip a promise that the provider's capabilities or ``--frith-quick`` rule out."""
        tested = promise_of(request.function)
        if tested.needs is not None and tested.needs not in provider.capabilities:
            pytest.skip(f"{DOES_NOT_APPLY}{tested.needs.value!r} is not declared")
        if tested.without is not None and tested.without in provider.capabilities:
            pytest.skip(f"{DOES_NOT_APPLY}{tested.without.value!r} is declared")
        if tested.is_slow and request.config.getoption("--frith-quick"):
            pytest.skip(LEFT_OUT)

    @pytest.fixture
    def options(self, provider: ProviderSpec) -> BaseModel:
        """Return the options to open the provider with, by default its own defaults."""
        return provider.config()

    @pytest.fixture
    def workspace(self, tmp_path: Path, frith_repository: Path) -> Path:
        """Return the path of a new git repository with one commit of the file ``tracked.txt``."""
        workspace = (tmp_path / "workspace").resolve()
        return Path(shutil.copytree(frith_repository, workspace, symlinks=True))

    @pytest.fixture
    def opening(self, provider: ProviderSpec, options: BaseModel, workspace: Path) -> Opening:
        """Return an object that opens the provider, any number of times."""
        assert provider.role is self.role, f"not a {self.role} provider"
        return Opening(provider, options, workspace)

    @promise(since="1.1")
    async def test_its_operations_do_not_need_the_default_threads(
        self, opening: Opening, operate: Callable[[Any], Awaitable[None]]
    ) -> None:
        async with default_threads_taken(), opening.open() as provider:
            await operate(provider)
