"""What a caller passes in or is given cannot change what the manager knows."""

from __future__ import annotations

import json
import pickle
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from copy import copy, deepcopy
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from frith import ManagerConfig, Session, hookimpl
from frith._immutable import FrozenDict, FrozenList, frozen
from frith.events import Event, SessionCreated, SessionCreating
from frith_testing.harness.samples import a_full_session
from frith_testing.suites.lifecycle.sample_events import sample_events

from .managers import LIFECYCLE_HOOKS, configuration, manager
from .world import World

TREE = {"texts": ["a", {"b": [1, None, 0.5, True]}], "nested": {"empty": {}, "list": []}}


def _changes(kind: type, *, reading: set[str]) -> list[str]:
    """Return the names of the methods by which a ``kind`` may be changed."""
    return [name for name in vars(kind) if name not in reading and name not in vars(object)]


READING = {
    *("__class_getitem__", "__contains__", "__getitem__", "__iter__", "__len__", "__or__"),
    *("__ror__", "__reversed__", "__add__", "__mul__", "__rmul__"),
    *("copy", "count", "fromkeys", "get", "index", "items", "keys", "values"),
}


@pytest.mark.parametrize("name", _changes(dict, reading=READING))
def test_a_frozen_dictionary_refuses_each_change(name: str) -> None:
    with pytest.raises(TypeError, match="deepcopy"):
        getattr(FrozenDict(a=1), name)()


@pytest.mark.parametrize("name", _changes(list, reading=READING))
def test_a_frozen_list_refuses_each_change(name: str) -> None:
    with pytest.raises(TypeError, match="deepcopy"):
        getattr(FrozenList([1]), name)()


def test_a_frozen_tree_is_frozen_throughout_and_equals_the_original() -> None:
    tree = frozen(TREE)
    assert tree == TREE
    assert json.dumps(tree) == json.dumps(TREE)
    assert type(tree["texts"][1]["b"]) is FrozenList
    assert frozen(tree) is tree
    assert frozen(UserDict(TREE)) == TREE
    assert frozen(((["a"],),)) == ((["a"],),)


def test_a_frozen_tree_does_not_change_with_the_original() -> None:
    original = deepcopy(TREE)
    tree = frozen(original)
    original["texts"].append("more")  # type: ignore[attr-defined]
    assert tree == TREE


def test_a_copy_of_a_frozen_tree_can_be_changed() -> None:
    tree = frozen(TREE)
    changed = deepcopy(tree)
    changed["texts"][1]["b"].append(2)
    changed["nested"]["empty"]["no"] = "more"
    assert tree == TREE != changed
    for part in (tree, tree["texts"]):
        assert type(copy(part)) is type(part).__base__
        assert type(part.copy()) is type(part).__base__


def test_a_frozen_tree_travels_to_another_process_and_stays_frozen() -> None:
    tree = pickle.loads(pickle.dumps(frozen(TREE)))
    assert tree == TREE
    assert type(tree["texts"]) is FrozenList


def test_what_contains_itself_is_left_for_the_store_to_refuse() -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    assert frozen(endless) is endless


CONTAINERS: dict[str, Callable[[Session], Any]] = {
    "metadata": lambda session: session.metadata,
    "nested metadata": lambda session: session.metadata["nested"],  # type: ignore[index]
    "unknown fields": lambda session: session.model_extra,
    "an unknown field": lambda session: session.unknownField,  # type: ignore[attr-defined]
    "the terminal's reference": lambda session: session.details.terminal_ref,
    "unknown details": lambda session: session.details.model_extra,
}


@pytest.mark.requirement("R1.8")
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("change", [None, "evolve", "model_copy", "pickle"])
def test_nothing_in_a_session_can_be_changed(
    container: Callable[[Session], Any], change: str | None
) -> None:
    session = a_full_session()
    plain = {"metadata": deepcopy(session.metadata), "unknownField": {"a": []}}
    match change:
        case "evolve":
            session = session.evolve(**plain).detail(terminal_ref={"a": []})
        case "model_copy":
            session = session.model_copy(update=plain)
        case "pickle":
            session = pickle.loads(pickle.dumps(session))
    with pytest.raises(TypeError, match="deepcopy"):
        container(session)["new"] = 1


def test_a_session_with_unknown_fields_is_stored_with_them_still() -> None:
    session = a_full_session()
    assert session.to_record()["unknownField"] == session.model_extra["unknownField"]  # type: ignore[index]
    assert session.evolve(unknownField=[1]).to_record()["unknownField"] == [1]


def _held(value: Any) -> Iterator[Any]:
    """Yield ``value``, and all that it holds."""
    yield value
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _held(getattr(value, name))
        yield from _held(value.model_extra)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _held(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _held(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _held(item)


@pytest.mark.requirement("R6.4")
@pytest.mark.parametrize("hook", LIFECYCLE_HOOKS)
def test_no_event_holds_anything_that_can_be_changed(hook: str) -> None:
    for event in sample_events(hook, "/workspace"):
        for part in _held(event):
            if isinstance(part, dict | list):
                assert type(part) in (FrozenDict, FrozenList)
            if is_dataclass(part):
                parameters: Any = getattr(part, "__dataclass_params__")  # noqa: B009
                assert parameters.frozen
            if isinstance(part, BaseModel):
                assert part.model_config["frozen"]


class Meddling:
    """Appends to every list that an event holds."""

    def __init__(self) -> None:
        self.refused = 0

    @hookimpl
    async def frith_session_creating(self, event: SessionCreating) -> None:
        self._meddle(event)

    @hookimpl
    async def frith_session_created(self, event: SessionCreated) -> None:
        self._meddle(event)

    def _meddle(self, event: Event) -> None:
        for part in _held(event):
            if isinstance(part, list):
                try:
                    part.append("meddled with")
                except TypeError:
                    self.refused += 1


@pytest.mark.requirement("R6.4")
async def test_a_hook_cannot_change_what_is_created_known_or_stored(world: World) -> None:
    meddling = Meddling()
    async with manager(world, meddling) as m:
        session = await m.create_session("one", metadata={"labels": ["mine"]})
        await m.update_session(session.id, current_phase="later")
        assert session.metadata == {"labels": ["mine"]}
        assert m.get_session(session.id).metadata == {"labels": ["mine"]}  # type: ignore[union-attr]
        assert world.stored(session.id).metadata == {"labels": ["mine"]}
        assert world.markers[session.id].session.metadata == {"labels": ["mine"]}
    assert meddling.refused == 2


@pytest.mark.requirement("R1.8")
async def test_what_a_caller_passed_in_and_changes_later_changes_nothing(world: World) -> None:
    mine: dict[str, Any] = {"labels": ["mine"]}
    async with manager(world) as m:
        session = await m.create_session("one", metadata=mine)
        mine["labels"].append("later")
        assert session.metadata == {"labels": ["mine"]}
        await m.update_session(session.id, metadata=mine)
        mine["labels"].append("later still")
        found = m.get_all_sessions()[0].metadata
        assert found == world.stored(session.id).metadata == {"labels": ["mine", "later"]}


@pytest.mark.requirement("R1.8")
async def test_what_a_caller_changes_while_the_call_is_on_its_way_changes_nothing(
    world: World,
) -> None:
    mine: dict[str, Any] = {"labels": ["mine"]}

    async def change() -> None:
        mine["labels"].append("meanwhile")

    async with manager(world) as m:
        world.meanwhile["claim"] = [change]
        session = await m.create_session("one", metadata=mine)
        assert session.metadata == {"labels": ["mine"]}
        world.meanwhile["transact"] = [change]
        session = await m.update_session(session.id, metadata=mine)
        assert session.metadata == {"labels": ["mine", "meanwhile"]}
    assert len(mine["labels"]) == 3


@pytest.mark.requirement("R1.8")
async def test_what_a_caller_is_given_can_be_copied_changed_and_passed_back(world: World) -> None:
    async with manager(world) as m:
        session = await m.create_session("one", metadata={"labels": ["mine"]})
        metadata: Any = deepcopy(session.metadata)
        metadata["labels"].append("more")
        assert m.get_session(session.id) == session
        session = await m.update_session(session.id, metadata=metadata)
        assert session.metadata == {"labels": ["mine", "more"]}
        merged = {**(session.metadata or {}), "ticket": 1}
        session = await m.update_session(session.id, metadata=merged)
        assert session.metadata == {"labels": ["mine", "more"], "ticket": 1}


def test_a_plugin_cannot_change_the_configuration() -> None:
    given: dict[str, Any] = {"plugin": {"acme": {"list": [1]}}}
    config: ManagerConfig = configuration(options=given)
    given["plugin"]["acme"]["list"].append(2)
    assert config.options == {"plugin": {"acme": {"list": [1]}}}
    with pytest.raises(TypeError):
        config.options["plugin"]["acme"]["list"].append(3)
    with pytest.raises(TypeError):
        config.options["store"] = {}  # type: ignore[index]
    assert configuration().options == {}
