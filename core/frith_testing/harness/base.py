"""What the suites share: complete subclasses only, both backends, and the provider opened."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from frith.providers import ProviderSpec, Role
from frith_testing.harness.loops import PlainLoop
from frith_testing.harness.opening import Opening as Opening
from frith_testing.harness.promises import Deviation, expected_failure, promise_of
from frith_testing.harness.report import DOES_NOT_APPLY, LEFT_OUT

PATIENCE = 30.0
"""Seconds after which something that should happen at once is taken never to happen."""


class Conformance:
    """Root of the suites. A subclass that would test less than its suite cannot be defined."""

    __conformance__ = True  # by which the pytest plugin knows a suite without importing this
    pytestmark: ClassVar[Any] = pytest.mark.anyio
    suite: ClassVar[str] = ""
    """Name of the suite, for the report."""
    subject: ClassVar[str] = ""
    """The one fixture that a subclass must define: what is tested."""
    _standard: ClassVar[bool] = True

    def __init_subclass__(
        cls, *, suite: str | None = None, subject: str | None = None, **kwargs: Any
    ) -> None:
        """Check a subclass.

        Args:
            suite: given by the suites themselves: the name.
            subject: given by the suites themselves: the fixture that a subclass must define.
            kwargs: for other bases.

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
            raise TypeError(f"{cls.__name__}: pytest collects only classes called Test…")
        if not any(cls.subject in vars(base) for base in cls.__mro__ if not _is_standard(base)):
            raise TypeError(
                f"{cls.__name__} does not define the fixture {cls.subject!r}: "
                f"@pytest.fixture def {cls.subject}(self) returns what is to be tested"
            )
        _apply_deviations(cls)

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest) -> None:
        """Skip a promise that takes long, if only quick ones are asked for."""
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
                f"that promise, say so: {name} = deviation('why')"
            )
    for name in dir(cls):
        if isinstance(inspect.getattr_static(cls, name), Deviation):
            raise TypeError(f"{cls.__name__}: there is no standard test {name} to deviate from")


class ProviderConformance(Conformance, suite="provider", subject="provider"):
    """Base of the suites for providers.

    A subclass defines the fixture ``provider``, which returns the
    :class:`~frith.providers.ProviderSpec`. It may override ``options``, the provider's options
    (fresh data for each test, say), and ``workspace``, the directory to work in.
    """

    role: ClassVar[Role]

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest, provider: ProviderSpec) -> None:
        """Skip a promise that the provider's capabilities or ``--frith-quick`` rule out."""
        promise = promise_of(request.function)
        if promise.needs is not None and promise.needs not in provider.capabilities:
            pytest.skip(f"{DOES_NOT_APPLY}{promise.needs.value!r} is not declared")
        if promise.without is not None and promise.without in provider.capabilities:
            pytest.skip(f"{DOES_NOT_APPLY}{promise.without.value!r} is declared")
        if promise.is_slow and request.config.getoption("--frith-quick"):
            pytest.skip(LEFT_OUT)

    @pytest.fixture
    def options(self, provider: ProviderSpec) -> BaseModel:
        """Return the options to open the provider with: its defaults."""
        return provider.config()

    @pytest.fixture
    def workspace(self, tmp_path: Path, frith_repository: Path) -> Path:
        """Return a new git repository with one commit of the file ``tracked.txt``."""
        workspace = (tmp_path / "workspace").resolve()
        return Path(shutil.copytree(frith_repository, workspace, symlinks=True))

    @pytest.fixture
    def opening(self, provider: ProviderSpec, options: BaseModel, workspace: Path) -> Opening:
        """Return what opens the provider, any number of times."""
        assert provider.role is self.role, f"not a {self.role} provider"
        return Opening(provider, options, workspace)
