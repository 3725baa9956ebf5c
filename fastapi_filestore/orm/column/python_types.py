"""The Python type of a column, which may hide behind types that wrap others, or say nothing at all.

Asked first is the type itself; one that only wraps another, as SQLModel's text does, is that other. What changes values
on their way is known best by the annotation of the attribute, then by what its class says it is a decorator of.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from functools import reduce
from inspect import get_annotations
from operator import or_
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

from pydantic import AfterValidator, BaseModel, PydanticUserError, TypeAdapter, WithJsonSchema
from pydantic.errors import PydanticSchemaGenerationError
from sqlalchemy import ARRAY, JSON, ColumnElement, Enum, TypeDecorator, Uuid
from sqlalchemy.orm import ColumnProperty, Mapped
from sqlalchemy.types import TypeEngine

CHANGES = ("process_bind_param", "process_result_value", "bind_processor", "result_processor")
"""What a decorator overrides if it changes values on their way, in either direction."""
COLLECTIONS = (list, tuple, set, frozenset, dict)


def python_type(prop: ColumnProperty[Any]) -> Any:
    """Return what pydantic is to validate the values of an attribute as; `Any` if nobody says."""
    kind = wrapped_type(prop.columns[0])
    if isinstance(kind, JSON):  # SQLAlchemy 2.0 has it for a dict, whatever it holds
        return Any
    if isinstance(kind, ARRAY) or _own_type(kind) is None:
        told = _annotation(prop)
        return _told_by(kind) if told is None else told
    return _told_by(kind)


def wrapped_type(column: ColumnElement[Any]) -> TypeEngine[Any]:
    """Return the type of a column, or the one that it wraps if it hands values on as they are."""
    kind: TypeEngine[Any] = column.type
    while isinstance(kind, TypeDecorator) and not _changes(kind) and _own_type(kind) is None:
        kind = kind.impl_instance
    return kind


def is_json_in_forms(kind: Any) -> bool:
    """Tell whether a value can't be written as a form's text, but as that of JSON."""
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        return any(is_json_in_forms(each) for each in get_args(kind))
    return isinstance(origin, type) and (
        issubclass(origin, (*COLLECTIONS, BaseModel, Mapping)) or is_dataclass(origin) or is_typeddict(origin)
    )


def _changes(kind: TypeDecorator[Any]) -> bool:
    return any(getattr(type(kind), name) is not getattr(TypeDecorator, name) for name in CHANGES)


def _own_type(kind: TypeEngine[Any]) -> Any:
    try:
        told = kind.python_type
    except NotImplementedError:  # SQLAlchemy's word for a type that says nothing, before 2.1
        return None
    return None if told is object else told


def _told_by(kind: TypeEngine[Any]) -> Any:
    match kind:
        case JSON():
            return Any
        case Enum(enum_class=None):
            return Literal[tuple(kind.enums)] if kind.enums else str
        case Uuid(as_uuid=False):
            return _uuid_text()
        case ARRAY():
            return _lists_of(kind)
        case TypeDecorator() if _own_type(kind) is None:
            generic = _decorated(kind)
            return _told_by(kind.impl_instance) if generic is None else generic
        case _:
            return _validatable(_own_type(kind))


def _lists_of(kind: ARRAY[Any]) -> Any:
    item = _told_by(kind.item_type)
    lists: Any = item if item is Any else item | None
    for _ in range(kind.dimensions or 1):
        lists = list.__class_getitem__(lists)
    return lists


def _uuid_text() -> Any:
    return Annotated[str, AfterValidator(_as_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]


def _as_uuid(text: str) -> str:
    return str(UUID(text))


def _decorated(kind: TypeDecorator[Any]) -> Any:
    """Return what a class says that it decorates: `dict` of `TypeDecorator[dict]`."""
    for base in (each for cls in type(kind).__mro__ for each in cls.__dict__.get("__orig_bases__", ())):
        if get_origin(base) is TypeDecorator and not hasattr(get_args(base)[0], "__bound__"):
            return _validatable(get_args(base)[0])
    return None


def _annotation(prop: ColumnProperty[Any]) -> Any:
    """Return what the attribute of the class is annotated as, without `Mapped` and `None`; None if pydantic can't."""
    for cls in prop.parent.class_.__mro__:
        if prop.key in (said := get_annotations(cls)):
            owner = SimpleNamespace(__annotations__={prop.key: said[prop.key]})
            names = vars(sys.modules[cls.__module__])
            with suppress(Exception):  # a name that is there for type checkers alone, or whatever else a text may be
                return _validatable(_without_none(_unwrapped(get_type_hints(owner, names)[prop.key])), fallback=None)
            return None
    return None


def _unwrapped(annotation: Any) -> Any:
    origin = get_origin(annotation)
    return get_args(annotation)[0] if isinstance(origin, type) and issubclass(origin, Mapped) else annotation


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return reduce(or_, [each for each in get_args(annotation) if each is not type(None)])


def _validatable(kind: Any, fallback: Any = Any) -> Any:
    if kind is None or kind is object:
        return Any
    try:
        TypeAdapter(kind)
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
        return fallback
    return kind
