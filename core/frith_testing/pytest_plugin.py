"""The pytest plugin: what to test, and the report. It imports nothing of frith at start-up."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import pytest

from frith_testing.harness.report import Outcome, Report, outcome_of

_PROPERTY = "frith_promise"

chosen: list[str] = []
"""The providers named on the command line, for the module that makes their test classes."""


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
        "--frith-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write the report of promises to FILE: as JSON if it ends in .json, else as text; "
        "may be repeated",
    )
    group.addoption(
        "--frith-strict",
        action="store_true",
        help="let promises that are new in this version of the suites fail, too",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the report, where the tests are controlled."""
    chosen[:] = config.getoption("--frith-provider")
    config.addinivalue_line("markers", "faults: throws faults at a provider; takes seconds")
    if not hasattr(config, "workerinput"):  # pytest-xdist's workers send theirs to us
        config.pluginmanager.register(_Reporting(config))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a standard test what it says of a promise."""
    report = yield
    suite = getattr(item, "cls", None)
    if isinstance(item, pytest.Function) and suite and hasattr(suite, "__conformance__"):
        from frith_testing.harness.identity import identity_of
        from frith_testing.harness.promises import SUITE_VERSION, promise_of

        promise = promise_of(item.function)
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

    It is here, not in the suites, because it serves all of a session.
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

    It is here, not in the suites, because it serves all of a session.
    """
    from frith_testing.harness.repository import make_repository

    path = tmp_path_factory.mktemp("frith") / "repository"
    return make_repository(path, {"tracked.txt": "tracked\n"})


class _Reporting:
    """Gathers what the tests say, prints it at the end, and writes the files asked for."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._report = Report()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, row in report.user_properties:
            if name == _PROPERTY:
                self._report.add(cast("dict[str, str]", row))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        for name in self._config.getoption("--frith-report"):
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            as_json = path.suffix == ".json"
            path.write_text(self._report.json() if as_json else self._report.text())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._report.subjects:
            terminalreporter.section("frith conformance")
            quiet = self._config.get_verbosity() <= 0
            hidden = (Outcome.KEPT, Outcome.DOES_NOT_APPLY) if quiet else ()
            terminalreporter.write(self._report.text(hidden))
