"""JSON values that cannot be changed, so that all callers can share them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NoReturn


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
