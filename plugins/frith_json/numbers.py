"""JSON that keeps the text of numbers, formatted as JavaScript does.

Python reads ``1.0``, ``0.1000`` and ``1e400``, but would write them differently. Such a number is
an :class:`Exact` in the tree that :func:`loads` returns; :func:`plain` replaces it by what a
program works with, :func:`restored` puts it back where the program left the value as it was.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from pydantic_core import PydanticSerializationError

UNENCODABLE = (TypeError, ValueError, RecursionError, OverflowError, PydanticSerializationError)
"""What encoding raises for something that JSON, or a model, cannot hold."""
_quoted = json.encoder.encode_basestring
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = 4000
"""Python refuses to turn longer text into an integer by default (4300)."""


@dataclass(frozen=True, slots=True)
class Exact:
    """A number that Python would write differently."""

    text: str
    value: float


def loads(text: str) -> Any:
    """Parse JSON, with :class:`Exact` numbers where needed.

    Raises:
        ValueError: it is not JSON (``NaN`` and ``Infinity`` are not), or an object has a key twice,
            one of which would be lost.
    """
    try:
        return _UNIQUE_DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decode_from(text: str, position: int) -> tuple[Any, int]:
    """Parse the JSON value at ``position``; return it and the position after it.

    Of a key that an object has twice the last one is used.

    Raises:
        json.JSONDecodeError: there is none; its ``pos`` says how far the text was read.
        ValueError: there is none, or Python cannot hold it.
    """
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _float(text: str) -> float | Exact:
    value = float(text)
    same = math.isfinite(value) and number(value) == text
    return value if same else Exact(text, value)


def _int(text: str) -> int | Exact:
    if text == "-0" or len(text) > _MAX_DIGITS:
        return Exact(text, float(text))
    return int(text)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _object_of_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {_quoted(twice[:50])} twice")
    return tree


_decoder = partial(json.JSONDecoder, parse_float=_float, parse_int=_int, parse_constant=_constant)
_DECODER, _UNIQUE_DECODER = _decoder(), _decoder(object_pairs_hook=_object_of_unique)


def number(value: float) -> str:
    """Return ``value`` as JavaScript writes it, or as Python does where that would change it.

    Raises:
        ValueError: JSON has no such number.
    """
    if isinstance(value, int):
        return int.__repr__(value)
    if not math.isfinite(value):
        raise ValueError(f"JSON has no number {value}")
    text = float.__repr__(value)
    if value.is_integer() and 0 < abs(value) < 1e16 or text == "0.0":
        return str(int(value))
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    if -7 < int(exponent) < 21:
        padded = format(Decimal(text), "f")
        if "." in padded or int(padded) == value:
            return padded
    return f"{mantissa}e{int(exponent):+d}"


def dumps(tree: Any, margin: str = "") -> str:
    """Write ``tree`` as ``JSON.stringify(tree, null, 2)`` would, lines after the first indented.

    Raises:
        TypeError: it holds something that JSON cannot.
        ValueError: it holds a number that JSON cannot, or itself.
    """
    if isinstance(tree, str):
        return _quoted(tree)
    if isinstance(tree, dict | Mapping):  # dict first, because asking for Mapping is slow
        if not all(isinstance(key, str) for key in tree):
            raise TypeError("keys of a JSON object are strings")
        inner = margin + "  "
        members = [
            f"{_quoted(key)}: {_quoted(value) if type(value) is str else dumps(value, inner)}"
            for key, value in tree.items()
        ]
        return _laid_out("{}", members, margin)
    if isinstance(tree, list | tuple):
        return _laid_out("[]", [dumps(value, margin + "  ") for value in tree], margin)
    if tree is None or isinstance(tree, bool):
        return {None: "null", True: "true", False: "false"}[tree]
    if isinstance(tree, int | float):
        return number(tree)
    if isinstance(tree, Exact):
        return tree.text
    raise TypeError(f"{type(tree).__name__} is not JSON")


def _laid_out(brackets: str, items: list[str], margin: str) -> str:
    if not items:
        return brackets
    inner = f"\n{margin}  "
    return f"{brackets[0]}{inner}{f',{inner}'.join(items)}\n{margin}{brackets[1]}"


def encoded(text: str) -> bytes:
    """Return JSON ``text`` in UTF-8; lone surrogates, which UTF-8 lacks, as escapes."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", text).encode()


def has_lone_surrogate(tree: Any) -> bool:
    """Tell whether a string in ``tree`` has no UTF-8 form."""
    return _SURROGATE.search(dumps(tree)) is not None


def plain(tree: Any) -> Any:
    """Return ``tree`` with plain numbers; ``tree`` itself if they all are."""
    if isinstance(tree, Exact):
        return tree.value
    if isinstance(tree, dict):
        new = {key: plain(value) for key, value in tree.items()}
        return new if any(new[key] is not tree[key] for key in tree) else tree
    if isinstance(tree, list):
        items = [plain(value) for value in tree]
        return items if any(a is not b for a, b in zip(items, tree, strict=True)) else tree
    return tree


def restored(tree: Any, origin: Any) -> Any:
    """Return ``tree`` with the numbers of ``origin`` wherever their value has not changed."""
    if isinstance(origin, Exact):
        same = type(tree) is type(origin.value) and tree == origin.value
        return origin if same else tree
    if isinstance(tree, dict) and isinstance(origin, dict):
        return {key: restored(value, origin.get(key)) for key, value in tree.items()}
    if isinstance(tree, list) and isinstance(origin, list):
        kept = [restored(*pair) for pair in zip(tree, origin, strict=False)]
        return kept + tree[len(kept) :]
    return tree
