"""The command line of the laboratory's modules."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from frith.config import ManagerConfig
from frith.plugins import load_plugins
from frith.providers import Role
from frith_testing.harness.opening import Opening


def report_on(
    run: Callable[[Opening, argparse.Namespace], Iterable[Any]], **defaults: float | str
) -> None:
    """Parse the command line, run, and print the reports; exit with 1 on a violation.

    Args:
        run: yields reports, which are dataclasses with a field ``violations``.
        defaults: the options, with their defaults.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--provider", default="store:json", help="ROLE:NAME, installed")
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["git", "init", "-q", directory], check=True)
        opening = _opening(arguments.provider, Path(directory).resolve())
        for report in run(opening, arguments):
            print(_line(report), flush=True)
            for violation in report.violations:
                failed = True
                print(f"  VIOLATION {violation}", flush=True)
    raise SystemExit(failed)


def _opening(provider: str, workspace: Path) -> Opening:
    role, _, name = provider.partition(":")
    spec = load_plugins(ManagerConfig(workspace=workspace)).choose(Role(role), name).spec
    return Opening(spec, spec.config(), workspace)


def _line(report: Any) -> str:
    values = {field.name: getattr(report, field.name) for field in fields(report)}
    values["violations"] = len(report.violations)
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
