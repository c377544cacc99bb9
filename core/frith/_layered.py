"""An immutable mapping whose changed versions share the entries that have not changed."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, ValuesView
from math import isqrt
from types import MappingProxyType
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_GONE: Any = object()


class LayeredMap(Mapping[K, V], Generic[K, V]):
    """A mapping that is never changed, and a small layer of differences above it."""

    __slots__ = ("_base", "_layer", "_length", "_merged")

    def __init__(self, base: Mapping[K, V], layer: Mapping[K, V], length: int) -> None:
        """Use :func:`changed` instead."""
        self._base = base
        self._layer = layer
        self._length = length
        self._merged: dict[K, V] | None = None

    def __getitem__(self, key: K) -> V:
        if key not in self._layer:
            return self._base[key]
        value = self._layer[key]
        if value is _GONE:
            raise KeyError(key)
        return value

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        return iter(self._merge())

    def __repr__(self) -> str:
        return f"LayeredMap({self._merge()!r})"

    def values(self) -> ValuesView[V]:
        """Return a view of the values."""
        return self._merge().values()

    def items(self) -> ItemsView[K, V]:
        """Return a view of the items."""
        return self._merge().items()

    def _merge(self) -> dict[K, V]:
        # Costs what there is, once.
        if self._merged is None:
            merged = dict(self._base)
            for key, value in self._layer.items():
                if value is _GONE:
                    merged.pop(key, None)
                else:
                    merged[key] = value
            self._merged = merged
        return self._merged


def changed(mapping: Mapping[K, V], put: Mapping[K, V], delete: Collection[K]) -> Mapping[K, V]:
    """Return ``mapping`` with the items of ``put``, and without the keys of ``delete``.

    A key that is in both is put.
    """
    if not put and not delete:
        return mapping
    base, known = _layers(mapping)
    layer = dict(known)
    length = len(mapping)
    for key in delete:
        if layer.get(key, _GONE) is not _GONE or (key not in layer and key in base):
            length -= 1
            layer[key] = _GONE
    for key, value in put.items():
        if layer.get(key, _GONE) is _GONE and (key in layer or key not in base):
            length += 1
        layer[key] = value
    result = LayeredMap(base, layer, length)
    if len(layer) > max(32, isqrt(len(base))):
        return MappingProxyType(result._merge())
    return result


def differing(one: Mapping[K, V], other: Mapping[K, V]) -> Iterator[K]:
    """Yield each key whose values in the two mappings are not equal.

    Costs the size of the layers if both were made by :func:`changed` from the same mapping.
    """
    if one is other:
        return
    keys: Iterable[K]
    (base, layer), (other_base, other_layer) = _layers(one), _layers(other)
    if base is other_base:
        keys = {**layer, **other_layer}
    else:
        keys = {**dict.fromkeys(one), **dict.fromkeys(other)}
    for key in keys:
        value, theirs = one.get(key, _GONE), other.get(key, _GONE)
        if value is not theirs and value != theirs:
            yield key


def _layers(mapping: Mapping[K, V]) -> tuple[Mapping[K, V], Mapping[K, V]]:
    if isinstance(mapping, LayeredMap):
        return mapping._base, mapping._layer
    return mapping, {}
