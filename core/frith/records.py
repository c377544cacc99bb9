"""Sessions, events, changes and errors as JSON objects, and the schemas of these.

A key is the name of the field in camelCase; a field that is ``None`` is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, WithJsonSchema, create_model
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaMode

from frith import model
from frith.model import Session, format_timestamp

CONFIG = ConfigDict(alias_generator=to_camel, arbitrary_types_allowed=True)
MODE: JsonSchemaMode = "serialization"
NULL = {"type": "null"}


class Recorded:
    """A dataclass with a JSON form. Its subclasses are frozen."""

    __slots__ = ()
    __pydantic_config__ = CONFIG

    def to_record(self) -> dict[str, Any]:
        """Return this as a JSON object. A session in it has its details under ``frith``."""
        derived = {name: getattr(self, name) for name in self.derived_schema()}
        return _record(derived) | _fields_of(self)

    @classmethod
    def record_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of :meth:`to_record`."""
        schema, derived = TypeAdapter(cls).json_schema(mode=MODE), cls.derived_schema()
        properties = schema["properties"] | derived
        needed = [n for n in schema["required"] if NULL not in properties[n].get("anyOf", ())]
        return schema | {"properties": properties, "required": [*needed, *derived]}

    @classmethod
    def derived_schema(cls) -> dict[str, Any]:
        """Return the JSON schemas of the properties that are in the record besides the fields."""
        return {}


ERROR = Annotated[
    BaseException,
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        }
    ),
]
"""An exception in a record; ``code`` is the name of its class if it is not an error of frith."""


def record_of(value: Any) -> Any:
    """Return ``value`` as JSON: a model, a dataclass, an error, or a collection of these."""
    match value:
        case Session():
            return value.to_record() | {"frith": value.details.to_record()}
        case BaseModel():
            return value.model_dump(mode="json", by_alias=True, exclude_none=True)
        case Recorded():
            return value.to_record()
        case BaseException():
            return error_record(value)
        case Mapping():
            return {key: record_of(item) for key, item in value.items()}
        case tuple() | list():
            return [record_of(item) for item in value]
        case frozenset():
            return sorted(record_of(item) for item in value)
        case datetime():
            return format_timestamp(value)
        case Enum():
            return value.value
    return _fields_of(value) if is_dataclass(value) else value


def error_record(error: BaseException) -> dict[str, Any]:
    """Return ``error`` as a JSON object: ``code``, ``message``, and its attributes if it has any.

    Attributes whose name begins with an underscore are left out.
    """
    known = {"code": getattr(error, "code", type(error).__name__), "message": str(error)}
    attributes = vars(error) if hasattr(type(error), "code") else {}
    return known | _record({n: v for n, v in attributes.items() if not n.startswith("_")})


def error_schema(kind: type[BaseException], code: str) -> dict[str, Any]:
    """Return the JSON schema of the records of an error, from the annotations of its class."""
    hints = get_type_hints(kind, localns=vars(model))
    attributes: dict[str, Any] = {
        name: (hint, None if type(None) in get_args(hint) else ...)
        for name, hint in hints.items()
        if get_origin(hint) is not ClassVar
    }
    constant: Any = Annotated[str, WithJsonSchema({"const": code})]
    record = create_model(
        kind.__name__,
        __config__=CONFIG,
        code=(constant, ...),
        message=(str, ...),
        **attributes,
    )
    schema: dict[str, Any] = record.model_json_schema(mode=MODE)
    return schema


def _fields_of(value: Any) -> dict[str, Any]:
    return _record({field.name: getattr(value, field.name) for field in fields(value)})


def _record(named: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel(n): record_of(value) for n, value in named.items() if value is not None}
