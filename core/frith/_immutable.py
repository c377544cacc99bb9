"""Collections that cannot be changed, so that all callers can share them.

JSON values are frozen. A changed version of a mapping shares what it has in common with the first,
and costs what was changed, not what there is.
"""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, ValuesView
from copy import deepcopy
from math import isqrt
from types import MappingProxyType
from typing import Any, Generic, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_GONE: Any = object()


def frozen(value: Any) -> Any:
    """Return ``value`` with every dictionary and list in it replaced by one that is frozen.

    A value that contains itself is returned unchanged; stores refuse it.
    """
    try:
        return _frozen(value)
    except RecursionError:
        return value


def _frozen(value: Any) -> Any:
    if isinstance(value, (str, int, float, FrozenDict, FrozenList)):
        return value
    if isinstance(value, (dict, Mapping)):
        return FrozenDict((key, _frozen(item)) for key, item in value.items())
    if isinstance(value, list):
        return FrozenList(map(_frozen, value))
    if isinstance(value, tuple):
        return tuple(map(_frozen, value))
    return value


def _refuse(self: object, *_: object, **__: object) -> NoReturn:
    raise TypeError("This cannot be changed. Make a copy with copy.deepcopy(), and change that.")


class FrozenDict(dict[str, Any]):
    """A dictionary that refuses to be changed; a deep copy of it is a plain one."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {key: deepcopy(item, memo) for key, item in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


class FrozenList(list[Any]):
    """A list that refuses to be changed; a deep copy of it is a plain one."""

    __slots__ = ()

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = _refuse
    reverse = sort = _refuse

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [deepcopy(item, memo) for item in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenList, (list(self),)


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
            self._merged = _merged(self._base, self._layer)
        return self._merged


def changed(mapping: Mapping[K, V], put: Mapping[K, V], delete: Collection[K]) -> Mapping[K, V]:
    """Return ``mapping`` with the items of ``put``, and without the keys of ``delete``.

    A key that is in both is put. The order is that of a dictionary: a new key comes last, also if
    it was deleted before.
    """
    if not put and not delete:
        return mapping
    base, known = _layers(mapping)
    layer, gone = dict(known), frozenset(delete)
    for key in gone:
        if key in base:
            layer[key] = _GONE
        else:
            layer.pop(key, None)
    # In a layer a key that comes back would take its old place.
    comes_back = any(layer.get(key) is _GONE for key in put)
    if comes_back or len(layer) + len(put) > max(32, isqrt(len(base))):
        merged = _merged(base, layer)
        merged.update(put)
        return MappingProxyType(merged)
    layer.update(put)
    length = len(mapping) - sum(key in mapping for key in gone)
    length += sum(key in gone or key not in mapping for key in put)
    return LayeredMap(base, layer, length)


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


def _merged(base: Mapping[K, V], layer: Mapping[K, V]) -> dict[K, V]:
    merged = dict(base)
    for key, value in layer.items():
        if value is _GONE:
            del merged[key]
        else:
            merged[key] = value
    return merged
