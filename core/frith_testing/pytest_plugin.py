"""The pytest plugin: what to test, in which order, and the report.

It imports nothing of frith at start-up.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from frith_testing.harness.report import Outcome, Report, outcome_of

if TYPE_CHECKING:
    from frith_testing.harness.promises import Promise

_PROPERTY = "frith_promise"

chosen: list[str] = []
"""The values of ``--frith-provider``, for the module that makes the test classes."""
given_options: list[str] = []
"""The values of ``--frith-options``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suites."""
    group = parser.getgroup("frith", "frith's conformance suites")
    group.addoption(
        "--frith-provider",
        action="append",
        default=[],
        metavar="ROLE:NAME",
        help="with `--pyargs frith_testing`: run the suite against this installed provider "
        "(store:json, lifecycle:log, …) or against all of them (all); may be repeated",
    )
    group.addoption(
        "--frith-options",
        action="append",
        default=[],
        metavar="ROLE:NAME=JSON",
        help="open that provider with these options instead of its defaults, such as "
        """'store:mine={"path": "/tmp/state"}'; may be repeated""",
    )
    group.addoption(
        "--frith-quick",
        action="store_true",
        help="test the promises that take less than a second, and report the others as not checked",
    )
    group.addoption(
        "--frith-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write the report of promises to FILE while the tests run: as JSON if it ends in "
        ".json, else as text; may be repeated",
    )
    group.addoption(
        "--frith-strict",
        action="store_true",
        help="let promises that are new in this version of the suites fail, too",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the report, in the process that controls the tests."""
    if config.getoption("--frith-quick") and config.getoption("--frith-strict"):
        raise pytest.UsageError("--frith-quick leaves promises out, which --frith-strict forbids")
    chosen[:] = config.getoption("--frith-provider")
    given_options[:] = config.getoption("--frith-options")
    config.addinivalue_line("markers", "faults: throws faults at a provider; takes seconds")
    if not hasattr(config, "workerinput"):  # pytest-xdist's workers send theirs to us
        config.pluginmanager.register(_Reporting(config))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow promises of each provider after its quick ones."""
    places: dict[object, int] = {}

    def place(item: pytest.Item) -> tuple[int, float]:
        promise = _promise_of(item)
        of = getattr(item, "cls", None) if promise else item
        slow = promise.seconds if promise and promise.is_slow else 0
        return places.setdefault(of, len(places)), slow

    items.sort(key=place)


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> list[str]:
    """Tell how long the promises will take, the quick ones and all of them."""
    promises = [promise for item in items if (promise := _promise_of(item))]
    quick = [promise.seconds for promise in promises if not promise.is_slow]
    slow = [promise.seconds for promise in promises if promise.is_slow]
    if not promises:
        return []
    took = f"frith: {len(quick)} quick tests of promises take about {_duration(sum(quick))}"
    if config.getoption("--frith-quick"):
        return [f"{took}, {len(slow)} slow ones are left out"]
    return [f"{took}, {len(slow)} slow ones about {_duration(sum(slow))} (see --frith-quick)"]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _promise_of(item: pytest.Item) -> Promise | None:
    """Return the promise that ``item`` tests, if it is a test of a suite."""
    if not isinstance(item, pytest.Function) or not hasattr(item.cls, "__conformance__"):
        return None
    from frith_testing.harness.promises import promise_of

    return promise_of(item.function)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the outcome of a promise to the report of its test."""
    report = yield
    promise = _promise_of(item)
    if isinstance(item, pytest.Function) and promise:
        from frith_testing.harness.identity import identity_of
        from frith_testing.harness.promises import SUITE_VERSION

        suite = item.cls
        deviates = hasattr(item.function, "__deviation__")
        strict = deviates or item.config.getoption("--frith-strict")
        if report.failed and promise.is_new and not strict:
            report.outcome = "skipped"
            report.wasxfail = f"new in version {SUITE_VERSION} of the suites"
        outcome, why = outcome_of(report, is_new=promise.is_new, deviates=deviates)
        if outcome is not None:
            subject = item.funcargs.get(suite.subject)
            row = {
                "class": item.nodeid.rpartition("::")[0],
                "suite": suite.suite,
                "version": SUITE_VERSION,
                **identity_of(subject, suite),
                "promise": item.originalname.removeprefix("test_").replace("_", " "),
                "outcome": outcome.value,
                "test": item.nodeid,
                "when": report.when,
                "why": why,
            }
            report.user_properties.append((_PROPERTY, row))
    return report


@pytest.fixture(scope="session")
def frith_fork_server() -> Iterator[object]:
    """Return the process that forks the laboratory's runs, where system calls can be made to fail.

    The plugin defines it because one serves all tests of a session.
    """
    from frith_testing.faults.fork_server import fork_server
    from frith_testing.faults.shim import unavailable

    if reason := unavailable():
        pytest.skip(reason)
    with fork_server() as server:
        yield server


@pytest.fixture(scope="session")
def frith_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a git repository with one commit of the file ``tracked.txt``, to be copied.

    The plugin defines it because one serves all tests of a session.
    """
    from frith_testing.harness.repository import make_repository

    path = tmp_path_factory.mktemp("frith") / "repository"
    return make_repository(path, {"tracked.txt": "tracked\n"})


class _Reporting:
    """Collects the outcomes, writes the files asked for after each, and prints them at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._report = Report()

    def pytest_sessionstart(self) -> None:
        self._write()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        rows = [row for name, row in report.user_properties if name == _PROPERTY]
        for row in rows:
            self._report.add(cast("dict[str, str]", row))
        if rows:
            self._write()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        stopped = session.shouldstop or session.shouldfail
        self._report.is_complete = ended and not stopped
        self._write(last=True)

    def _write(self, *, last: bool = False) -> None:
        """Replace the files as a whole, so that a run that is killed leaves the last report."""
        for name in self._config.getoption("--frith-report"):
            path = Path(name).resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            text = self._report.json() if path.suffix == ".json" else self._report.text()
            if path.is_file() or not path.exists():
                new = path.with_name(f"{path.name}.new")
                new.write_text(text)
                os.replace(new, path)
            elif last:  # a device or a pipe, such as /dev/stdout
                path.write_text(text)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._report.subjects:
            terminalreporter.section("frith conformance")
            quiet = self._config.get_verbosity() <= 0
            hidden = (Outcome.KEPT, Outcome.DOES_NOT_APPLY) if quiet else ()
            terminalreporter.write(self._report.text(hidden))
