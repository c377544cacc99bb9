"""The report: which promises each provider keeps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

DOES_NOT_APPLY = "does not apply: "
"""Begins the reason of a skipped test if the provider's capabilities rule the promise out."""
LEFT_OUT = "left out by --frith-quick"
"""The reason of a test that was skipped because it is slow."""
INCOMPLETE = "This report is not complete: the run has not ended, or was stopped."


class Outcome(StrEnum):
    """The outcome of a promise; if its tests differ, the first one of these decides."""

    BROKEN = "broken"
    WARNED = "warned"
    """Broken, but new in this version of the suites: it fails from the next one on."""
    DEVIATES = "deviates"
    """Broken, for a reason that the author of the provider states."""
    NOT_CHECKED = "not checked"
    """This machine cannot, or the promise was left out."""
    KEPT = "kept"
    DOES_NOT_APPLY = "does not apply"
    """The provider's capabilities rule the promise out."""


_ORDER = tuple(Outcome)


@dataclass(slots=True)
class PromiseReport:
    """One promise of one provider."""

    outcome: Outcome
    why: str = ""
    tests: list[str] = field(default_factory=list)
    """Node ids of the tests that had this outcome."""
    when: str = "call"
    """The phase in which the first of them had it: ``setup``, ``call`` or ``teardown``."""


@dataclass(slots=True)
class Subject:
    """One provider or plugin, tested by one suite."""

    provider: str
    distribution: str
    suite: str
    version: str
    promises: dict[str, PromiseReport] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name and distribution of the provider, name and version of the suite."""
        return f"{self.provider} ({self.distribution}), suite {self.suite} {self.version}"


class Report:
    """The promises of all providers that were tested."""

    def __init__(self) -> None:
        self.subjects: dict[str, Subject] = {}
        """By the node id of their test classes."""
        self.is_complete = False
        """Whether the run came to its end."""

    def add(self, row: dict[str, str]) -> None:
        """Add the outcome of one test; the pytest plugin makes ``row`` and defines its keys."""
        subject = self.subjects.setdefault(
            row["class"], Subject(row["class"], "unknown", row["suite"], row["version"])
        )
        if row["provider"]:  # not known if the test ended in a fixture
            subject.provider, subject.distribution = row["provider"], row["distribution"]
        outcome = Outcome(row["outcome"])
        known = subject.promises.get(row["promise"])
        if known is None or _ORDER.index(outcome) < _ORDER.index(known.outcome):
            known = PromiseReport(outcome, row["why"], when=row["when"])
            subject.promises[row["promise"]] = known
        if outcome is known.outcome:
            known.tests.append(row["test"])

    def _sorted(self) -> list[Subject]:
        return sorted(self.subjects.values(), key=lambda subject: subject.title)

    def text(self, hidden: Collection[Outcome] = ()) -> str:
        """Return the report as text, which only counts promises whose outcome is in ``hidden``."""
        lines = [] if self.is_complete else [INCOMPLETE]
        for subject in self._sorted():
            counted = Counter(promise.outcome for promise in subject.promises.values())
            counts = ", ".join(
                f"{counted[outcome]} {outcome}" for outcome in Outcome if counted[outcome]
            )
            lines.append(f"{subject.title}: {counts}")
            for name, promise in subject.promises.items():
                if promise.outcome not in hidden:
                    reason = f": {promise.why}" if promise.why else ""
                    lines.append(f"  {promise.outcome:<14} {name}{reason}")
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        """Return the report as JSON: a list of providers with their promises."""
        return json.dumps(
            [
                {
                    "provider": subject.provider,
                    "distribution": subject.distribution,
                    "suite": subject.suite,
                    "version": subject.version,
                    "complete": self.is_complete,
                    "promises": [
                        {
                            "promise": name,
                            "outcome": promise.outcome.value,
                            "why": promise.why,
                            "when": promise.when,
                            "tests": promise.tests,
                        }
                        for name, promise in subject.promises.items()
                    ],
                }
                for subject in self._sorted()
            ],
            indent=2,
            ensure_ascii=False,
        )


def outcome_of(
    report: pytest.TestReport, *, is_new: bool, deviates: bool
) -> tuple[Outcome | None, str]:
    """Return the outcome of a promise, and why; ``None`` as long as its test may still fail."""
    if report.failed:
        return Outcome.BROKEN, _last_line(report)
    if hasattr(report, "wasxfail"):
        if deviates:
            return Outcome.DEVIATES, report.wasxfail.removeprefix("reason: ")
        return (Outcome.WARNED if is_new else Outcome.BROKEN), report.wasxfail
    if report.skipped:
        # The longrepr of a skipped test is (path, line, reason).
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(DOES_NOT_APPLY):
            return Outcome.DOES_NOT_APPLY, reason.removeprefix(DOES_NOT_APPLY)
        return Outcome.NOT_CHECKED, reason
    return (Outcome.KEPT, "") if report.when == "call" else (None, "")


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return str(text).strip().splitlines()[0] if str(text).strip() else "failed"
