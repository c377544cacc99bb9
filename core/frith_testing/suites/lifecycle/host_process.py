"""A plugin with lifecycle hooks leaves code, output and processes of its host alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from frith_testing.harness.base import Conformance
from frith_testing.harness.promises import promise
from frith_testing.suites.lifecycle.hook_call import Call

PACKAGES = frozenset({"frith", "anyio", "asyncio", "os", "pluggy", "signal", "subprocess"})
"""Packages whose code a plugin must not replace: the core, and the libraries that run it."""
_TASKS = Path("/proc/self/task")


class HostProcessConformance(Conformance, suite="lifecycle", subject="plugin"):
    """Promises about the program that a plugin runs in."""

    @promise(since="1.1")
    async def test_hooks_do_not_replace_code_of_the_host(
        self, plugin: Any, calls: list[Call]
    ) -> None:
        before = dict(code_now())
        for call in calls:
            await call.answer()
        after = dict(code_now())
        replaced = [name for name, code in before.items() if after.get(name) is not code]
        assert not replaced, f"hooks replace code of the host: {replaced}"
        own = getattr(plugin, "__module__", None) or plugin.__name__
        package = own.partition(".")[0]
        assert not [name for name, code in after.items() if _package_of(code) == package]

    @promise(since="1.1")
    async def test_hooks_write_nothing_to_standard_output(
        self, calls: list[Call], capfd: pytest.CaptureFixture[str]
    ) -> None:
        # Standard output belongs to the host, whose user or parent program reads it.
        for call in calls:
            await call.answer()
            sys.stdout.flush()
            assert capfd.readouterr().out == "", call.hook

    @promise(since="1.1")
    async def test_hooks_leave_no_processes_behind(self, calls: list[Call]) -> None:
        if children_now() is None:
            pytest.skip("this system does not show processes under /proc")
        for call in calls:
            used = []
            for _ in range(3):
                await call.answer()
                used.append(children_now() or 0)
            first, second, third = used
            assert not first < second < third, f"each call of {call.hook} leaves a process behind"


def code_now() -> Iterator[tuple[str, object]]:
    """Yield name and value of each function and class of the host that a plugin could replace."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES:
            for attribute, value in list(vars(module).items()):
                if isinstance(value, FunctionType | type):
                    yield f"{name}.{attribute}", value
                if isinstance(value, type) and value.__module__ == name:
                    yield from _code_of(value, f"{name}.{attribute}")


def _code_of(cls: type, name: str) -> Iterator[tuple[str, object]]:
    for attribute, value in list(vars(cls).items()):
        if isinstance(value, FunctionType | classmethod | staticmethod | property):
            yield f"{name}.{attribute}", value


def _package_of(code: object) -> str:
    """Return the package in which a function was defined, whatever its ``__module__`` says."""
    function = getattr(code, "fget", None) or getattr(code, "__func__", code)
    written_in = getattr(function, "__globals__", {}).get("__name__", "")
    return str(written_in).partition(".")[0]


def children_now() -> int | None:
    """Return the number of children of this process, zombies included; ``None`` if unknown."""
    counts = []
    for task in _TASKS.iterdir() if _TASKS.exists() else ():
        with suppress(FileNotFoundError):  # the thread has ended, or the kernel has no such file
            counts.append(len((task / "children").read_text().split()))
    return sum(counts) if counts else None
