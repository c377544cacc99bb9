"""Rules that infer the status of a program from the text it shows."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Set
from importlib.resources import files

from frith.model import SessionStatus
from frith_status.options import Rule


def built_in() -> list[Rule]:
    """Return the rules of ``rules.toml``."""
    text = files("frith_status").joinpath("rules.toml").read_text("utf-8")
    return [Rule.model_validate(rule) for rule in tomllib.loads(text)["rules"]]


class Rules:
    """Compiled rules, in order."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = [
            (rule.program, re.compile(rule.pattern), SessionStatus(rule.status)) for rule in rules
        ]

    def status(self, programs: Set[str], text: str) -> SessionStatus | None:
        """Return the status of the first rule that matches one of ``programs`` and ``text``."""
        for program, pattern, status in self._rules:
            if program in programs and pattern.search(text):
                return status
        return None
