"""Find the Python type of a column, which may hide behind types that wrap others, or say nothing at all.

Asked first is the type itself; one that only wraps another, as SQLModel's text does, is that other. What changes values
on their way is known best by the annotation of the attribute, then by what its class says it is a decorator of.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict
from uuid import UUID

from pydantic import AfterValidator, BaseModel, PydanticUserError, TypeAdapter, WithJsonSchema
from pydantic.errors import PydanticSchemaGenerationError
from sqlalchemy import ARRAY, JSON, Enum, TypeDecorator, Uuid
from sqlalchemy.orm import ColumnProperty

from fastapi_filestore.orm.column.annotations import Annotation, annotation_of
from fastapi_filestore.orm.mapped_types import AnyExpression, AnyType

CHANGES = ("process_bind_param", "process_result_value", "bind_processor", "result_processor")
"""The methods that a decorator overrides if it changes values on their way, in either direction."""
COLLECTIONS = (list, tuple, set, frozenset, dict)
UUID_TEXT = Annotated[
    str, AfterValidator(lambda text: str(UUID(text))), WithJsonSchema({"type": "string", "format": "uuid"})
]
"""A UUID that stays text."""


def python_type(prop: ColumnProperty[Any]) -> Annotation:
    """Return what pydantic is to validate the values of an attribute as; `Any` if nobody says."""
    kind = wrapped_type(prop.columns[0])
    if isinstance(kind, JSON):  # SQLAlchemy 2.0 has it for a dict, whatever it holds
        return Any
    if isinstance(kind, ARRAY) or _own_type(kind) is None:
        annotated = _annotated_type(prop)
        return _validated_type(kind) if annotated is None else annotated
    return _validated_type(kind)


def wrapped_type(column: AnyExpression) -> AnyType:
    """Return the type of a column, or the one that it wraps if it hands values on as they are."""
    kind: AnyType = column.type
    while isinstance(kind, TypeDecorator) and _own_type(kind) is None:
        if any(getattr(type(kind), name) is not getattr(TypeDecorator, name) for name in CHANGES):
            break
        kind = kind.impl_instance
    return kind


def is_json_in_forms(kind: object) -> bool:
    """Tell whether a value can't be written as a form's text, but as that of JSON."""
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        return any(is_json_in_forms(member) for member in get_args(kind))
    return isinstance(origin, type) and (
        issubclass(origin, (*COLLECTIONS, BaseModel, Mapping)) or is_dataclass(origin) or is_typeddict(origin)
    )


def _own_type(kind: AnyType) -> Annotation:
    try:
        own = kind.python_type
    except NotImplementedError:  # SQLAlchemy's word for a type that says nothing, before 2.1
        return None
    return None if own is object else own


def _validated_type(kind: AnyType) -> Annotation:
    """Return what pydantic is to validate the values of a type as."""
    match kind:
        case JSON():
            return Any
        case Enum(enum_class=None):
            return Literal[tuple(kind.enums)] if kind.enums else str
        case Uuid(as_uuid=False):
            return UUID_TEXT
        case ARRAY():
            item = _validated_type(kind.item_type)
            lists: Annotation = item if item is Any else item | None
            for _ in range(kind.dimensions or 1):
                lists = list.__class_getitem__(lists)
            return lists
        case TypeDecorator() if _own_type(kind) is None:
            decorated = _decorated_type(kind)
            return _validated_type(kind.impl_instance) if decorated is None else decorated
        case _:
            return _validatable(_own_type(kind))


def _decorated_type(kind: AnyType) -> Annotation:
    """Return what a class says that it decorates: `dict` of `TypeDecorator[dict]`."""
    for base in (base for cls in type(kind).__mro__ for base in cls.__dict__.get("__orig_bases__", ())):
        if get_origin(base) is TypeDecorator and not hasattr(get_args(base)[0], "__bound__"):
            return _validatable(get_args(base)[0])
    return None


def _annotated_type(prop: ColumnProperty[Any]) -> Annotation:
    """Return what the attribute of the class is annotated as, without `Mapped` and `None`; None if pydantic can't."""
    annotation = annotation_of(prop.parent.class_, prop.key)
    with suppress(Exception):  # whatever pydantic makes of it
        return None if annotation is None else _validatable(annotation, fallback=None)
    return None


def _validatable(kind: Annotation, fallback: Annotation = Any) -> Annotation:
    if kind is None or kind is object:
        return Any
    try:
        TypeAdapter(kind)
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
        return fallback
    return kind
