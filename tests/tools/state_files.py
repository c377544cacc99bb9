"""Types of what the tests of the store ``json`` are given."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from frith.model import Session
from frith_json.store import JsonStore

MakeSession: TypeAlias = Callable[..., Session]
OpenStore: TypeAlias = Callable[..., AbstractAsyncContextManager[JsonStore]]
Actor: TypeAlias = "subprocess.Popen[str]"
StartActor: TypeAlias = Callable[..., Actor]
