"""What every test has: both anyio backends, logging and signals as a fresh process has them.

It also decides which tests run in the gate, and what they may cost there: docs/howto/contribute.md.

``HYPOTHESIS_PROFILE=nightly`` tries other, and more, examples each time; by default every run tries
the same ones, so that it fails only if something has changed.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # not installed where packages and documents are tested
    pass
else:
    # Neither a deadline nor the time that making examples takes: both measure the machine.
    _UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("gate", _UNHURRIED, derandomize=True)
    settings.register_profile(
        "nightly", _UNHURRIED, derandomize=False, max_examples=300, print_blob=True
    )
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

CORE, FAULTS = (Path(__file__).parent / room for room in ("core", "faults"))
UNIT = 0.0115
"""CPU seconds that :func:`_unit_of_work` takes on the machine that the limit is meant for."""
NOISE = 2.0
"""How many times more a test may cost when others keep both cores busy than when nothing does."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--most-cpu-seconds",
        type=float,
        metavar="SECONDS",
        help="fail each test that takes more CPU seconds, its child processes included, and is not "
        "marked `expensive`",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks here, because tests of strangers run without the repository's settings."""
    for mark in (
        "expensive(why): takes more than a second of CPU, and belongs into the gate all the same",
        "nightly: runs in `tox -m nightly` only, because it is expensive and rarely fails",
    ):
        config.addinivalue_line("markers", mark)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `tox -m nightly` the fault laboratory, and trio outside of the core's tests."""
    for item in items:
        if FAULTS in item.path.parents:
            item.add_marker(pytest.mark.faults)
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        on_trio = "trio" in parameters and CORE not in item.path.parents
        if on_trio or item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.nightly)


def _unit_of_work() -> float:
    """Return the CPU seconds that a fixed piece of work takes just now."""
    started = time.process_time()
    sum(hash((number, str(number))) for number in range(50_000))
    return time.process_time() - started


def _spent() -> float:
    """Return the CPU seconds of this process and of the children that it has waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@pytest.fixture(autouse=True)
def affordable(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that costs more than the gate can afford.

    The limit is scaled by how slow the machine is at that moment, because noisy neighbours and a
    slower processor make every test more expensive. Twice the limit may still be noise.
    """
    before = _spent()
    yield
    spent, most = _spent() - before, request.config.getoption("--most-cpu-seconds")
    if most is None or spent <= most or request.node.get_closest_marker("expensive"):
        return
    slowness = max(1.0, sorted(_unit_of_work() for _ in range(5))[2] / UNIT)
    if spent > NOISE * most * slowness:
        pytest.fail(
            f"took {spent:.1f} CPU seconds, more than {most:g} (x {slowness:.1f} on this machine "
            "now): make it cheaper, mark it `expensive`, or leave it to `nightly`",
            pytrace=False,
        )


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Return the directory in which a distribution's wheel is unpacked, as an installer would."""
    from hatchling.build import build_wheel  # not installed everywhere

    sites: dict[Path, Path] = {}

    def unpack(source: Path) -> Path:
        if source not in sites:
            directory = tmp_path_factory.mktemp(source.name)
            with chdir(source):
                wheel = directory / build_wheel(str(directory))
            sites[source] = directory / "site"
            zipfile.ZipFile(wheel).extractall(sites[source])
        return sites[source]

    return unpack


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Who starts the tests may ignore signals, as nohup and ``&`` do; programs obey that."""
    heeded = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    ignored = [number for number in heeded if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, heeded[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Undo whatever a test, or one before, does to structlog and to the logger ``frith``."""
    logger = logging.getLogger("frith")

    def restore() -> None:
        if structlog := sys.modules.get("structlog"):  # not installed where packages are tested
            structlog.reset_defaults()
        for handler in logger.handlers[:]:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(logging.NOTSET)
        logger.propagate, logger.disabled = True, False

    restore()
    yield
    restore()


@pytest.fixture
def clean_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove frith's settings and the configuration of git from the environment."""
    for name in os.environ:
        if name.startswith(("GIT_", "FRITH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.invalid")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit, to be copied."""
    from frith_testing.harness.repository import make_repository

    files = {
        "README": "hello\n",
        "src/main.py": "print('hello')\n",
        ".gitignore": ".env\n*.pyc\nbuild/\nnode_modules/\n",
    }
    return make_repository(tmp_path_factory.mktemp("template") / "repository", files)


@pytest.fixture
def new_repository(template: Path) -> Callable[[Path], Path]:
    """Make a repository with one commit at a path."""

    def make(path: Path) -> Path:
        shutil.copytree(template, path, symlinks=True, dirs_exist_ok=True)
        return path

    return make
