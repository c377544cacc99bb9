"""What the suites share: complete subclasses only, both backends, and the provider opened."""

from __future__ import annotations

import inspect
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from spinney.providers import ProviderSpec, Role
from spinney_testing._opening import Opening as Opening

PATIENCE = 30.0
"""Seconds after which something that should happen at once is taken never to happen."""


class Conformance:
    """Root of the suites. A subclass that would test less than its suite cannot be defined."""

    pytestmark: ClassVar[Any] = pytest.mark.anyio
    _suite: ClassVar[bool] = True
    _fixture: ClassVar[str] = ""

    def __init_subclass__(cls, *, fixture: str | None = None, **kwargs: Any) -> None:
        """Check a subclass.

        Args:
            fixture: given by the suites themselves: the one fixture that a subclass must define.
            kwargs: for other bases.

        Raises:
            TypeError: pytest would not collect the class, the fixture is missing, or a standard
                test is overridden or removed.
        """
        super().__init_subclass__(**kwargs)
        cls._suite = fixture is not None
        if fixture is not None:
            cls._fixture = fixture
            return
        if not cls.__name__.startswith("Test") or cls.__dict__.get("__test__") is False:
            raise TypeError(f"{cls.__name__}: pytest collects only classes called Test…")
        if not any(cls._fixture in vars(base) for base in cls.__mro__ if not _is_suite(base)):
            raise TypeError(
                f"{cls.__name__} does not define the fixture {cls._fixture!r}: "
                f"@pytest.fixture def {cls._fixture}(self) returns what is to be tested"
            )
        for name, test in _standard_tests(cls):
            if inspect.getattr_static(cls, name, None) is not test:
                raise TypeError(f"{cls.__name__} overrides {name}, a standard test")

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        """Run each test on both backends."""
        return str(request.param)


def _is_suite(cls: type) -> bool:
    return vars(cls).get("_suite") is True or cls is object


def _standard_tests(cls: type) -> Iterator[tuple[str, object]]:
    for base in filter(_is_suite, cls.__mro__):
        yield from ((name, item) for name, item in vars(base).items() if name.startswith("test_"))


class ProviderConformance(Conformance, fixture="provider"):
    """Base of the suites for providers.

    A subclass defines the fixture ``provider``, which returns the
    :class:`~spinney.providers.ProviderSpec`. It may override ``options``, the provider's options
    (fresh data for each test, say), and ``workspace``, the directory to work in.
    """

    role: ClassVar[Role]

    @pytest.fixture
    def options(self, provider: ProviderSpec) -> BaseModel:
        """Return the options to open the provider with: its defaults."""
        return provider.config()

    @pytest.fixture
    def workspace(self, tmp_path: Path) -> Path:
        """Return a new git repository with one commit of the file ``tracked.txt``."""
        workspace = (tmp_path / "workspace").resolve()
        workspace.mkdir()
        (workspace / "tracked.txt").write_text("tracked\n")
        env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
        git = ["git", "-C", str(workspace), "-c", "user.name=t", "-c", "user.email=t@localhost"]
        for command in (
            ["init", "-q", "-b", "main"],
            ["add", "tracked.txt"],
            ["commit", "-q", "-m", "first"],
        ):
            subprocess.run([*git, *command], check=True, env=env)
        return workspace

    @pytest.fixture
    def opening(self, provider: ProviderSpec, options: BaseModel, workspace: Path) -> Opening:
        """Return what opens the provider, any number of times."""
        assert provider.role is self.role, f"not a {self.role} provider"
        return Opening(provider, options, workspace)
