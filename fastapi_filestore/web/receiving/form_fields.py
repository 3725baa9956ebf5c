"""Validate a form's text fields within their limits, and hand them on as columns take them.

One such value makes a row unreadable for everybody, and with it the list that the row is on.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from math import isfinite
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, Field, Json, TypeAdapter, ValidationError, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import from_json, to_json

from fastapi_filestore.errors import InvalidFieldsError, UploadTooLargeError
from fastapi_filestore.intake.forms.limits import FormLimits, check_shape

UnknownFields = Literal["ignore", "refuse"]
"""What becomes of a form's fields that nobody asked for."""

_JSON = cast("type", Json)


@cache
def names_never_empty(schema: type[BaseModel]) -> frozenset[str]:
    """Return the names of fields that are no empty text, by their type, or since they don't take one."""
    names: set[str] = set()
    for attribute, field in schema.model_fields.items():
        kind: Any = field.annotation
        if field.metadata:
            kind = Annotated.__class_getitem__((kind, *field.metadata))  # type: ignore[attr-defined]
        if _is_text(kind):  # which may be too short for its model, and is told so
            continue
        with suppress(Exception):  # of a validator of the user's, which may need all of its model
            try:
                TypeAdapter(kind).validate_python("")
            except ValidationError:
                names.update(names_of(schema, attribute, field))
    return frozenset(names)


def without_unknown(
    schema: type[BaseModel], fields: Mapping[str, str], unknown: UnknownFields, *, refused: Collection[str]
) -> Mapping[str, str]:
    """Return a form's fields without those that a model doesn't know, or refuse them.

    A model that says itself what becomes of them (`extra=`) is asked.

    Args:
        schema: The model.
        fields: What was sent.
        unknown: What becomes of them.
        refused: Names that mean something, so that they are no client's additions: the model says that they are wrong.

    Raises:
        InvalidFieldsError: There are some, and they are to be refused.
    """
    known = known_names(schema)
    if unknown == "ignore":
        return {name: value for name, value in fields.items() if name in known or name in refused}
    if schema.model_config.get("extra") is None and (others := [name for name in fields if name not in known]):
        message = "This field is not known here: leave it out"
        raise InvalidFieldsError([{"loc": (name,), "msg": message, "type": "extra_forbidden"} for name in others])
    return fields


def is_json_object(text: str) -> bool:
    """Tell whether a text is a JSON object."""
    try:
        return text.startswith("{") and isinstance(from_json(text), dict)
    except ValueError:
        return False


@cache
def known_names(schema: type[BaseModel]) -> frozenset[str]:
    """Return the names under which a model takes its fields."""
    return frozenset(
        name for attribute, field in schema.model_fields.items() for name in names_of(schema, attribute, field)
    )


@cache
def switch_names(schema: type[BaseModel]) -> frozenset[str]:
    """Return the names of the fields that are true or false."""
    return frozenset(
        name
        for attribute, field in schema.model_fields.items()
        if field.annotation is bool or set(get_args(field.annotation)) == {bool, type(None)}
        for name in names_of(schema, attribute, field)
    )


def names_of(schema: type[BaseModel], attribute: str, field: FieldInfo) -> Iterator[str]:
    """Yield the names under which a model takes a field."""
    alias = field.validation_alias or field.alias
    config = schema.model_config
    if alias is None or config.get("populate_by_name") or config.get("validate_by_name"):
        yield attribute
    for choice in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        if choice is not None:
            yield str(choice.path[0]) if isinstance(choice, AliasPath) else choice


def _is_text(kind: object) -> bool:
    """Tell whether a type, or one of a union, is text of any form."""
    if get_origin(kind) in (Union, UnionType):
        return any(map(_is_text, get_args(kind)))
    if get_origin(kind) is Annotated:
        for metadata in getattr(
            kind, "__metadata__", ()
        ):  # JSON, and what has another format, is text that can't be empty
            schema = metadata.json_schema if isinstance(metadata, WithJsonSchema) else None
            if isinstance(metadata, _JSON) or "format" in (schema or {}):
                return False
        return _is_text(get_args(kind)[0])
    kind = getattr(kind, "__supertype__", getattr(kind, "__value__", kind))  # of a NewType, or of an alias
    return isinstance(kind, type) and issubclass(kind, (str, bytes)) and not issubclass(kind, Enum)


SchemaT = TypeVar("SchemaT", bound=BaseModel)
FieldDefinition: TypeAlias = tuple[Any, Any]
"""The annotation of a field and its default, as pydantic's `create_model` takes them."""


class ColumnFields(BaseModel, protected_namespaces=()):
    """Values of columns: what was derived from a model has this base."""


RESERVED = frozenset({*dir(ColumnFields), "Config"})
"""What is something else in a model of pydantic's than a field of that name, as `model_config` and `json`."""


def rename_reserved(fields: Mapping[str, FieldDefinition]) -> Iterator[tuple[str, FieldDefinition]]:
    """Yield fields under names that no model of pydantic's has a meaning for; clients use those of the columns."""
    for column, (kind, default) in fields.items():
        if column not in RESERVED:
            yield column, (kind, default)
            continue
        name = f"{column}_"
        while name in fields:
            name += "_"
        yield name, (Annotated[kind, Field(alias=column)], default)


@cache
def attributes_of(schema: type[BaseModel]) -> dict[str, str]:
    """Return the attributes that the fields of a schema are values for, by the names of the fields."""
    if not issubclass(schema, ColumnFields):
        return {name: name for name, field in schema.model_fields.items() if not field.exclude}
    return {name: field.alias or name for name, field in schema.model_fields.items()}


def values_of(fields: BaseModel, *, only_set: bool = False) -> dict[str, object]:
    """Return fields by name: of columns as each column's type takes them, of a user's model as dicts and lists."""
    if not isinstance(fields, ColumnFields):
        return fields.model_dump(exclude_unset=only_set)
    known = attributes_of(type(fields)).items()
    kept = fields.model_fields_set if only_set else type(fields).model_fields.keys()
    return {attribute: getattr(fields, name) for name, attribute in known if name in kept}


def validate_form(schema: type[SchemaT], fields: Mapping[str, str], *, limits: FormLimits | None = None) -> SchemaT:
    """Validate the fields of a form; `InvalidFieldsError` says which are wrong.

    Those of JSON columns, which come as JSON's text, are within the limits. A form sends all its inputs, those that
    nobody filled in as well: empty ones that can't be empty, such as numbers, dates, choices and JSON, count as not
    sent, as with FastAPI's `Form()`. Text may be empty.
    """
    filled = dict(fields)
    if not all(filled.values()):
        blanks = names_never_empty(schema)
        filled = {name: value for name, value in filled.items() if value or name not in blanks}
    try:
        return schema.model_validate(filled, context=limits)
    except ValidationError as error:
        raise InvalidFieldsError(error.errors(include_url=False, include_input=False)) from None


def validate_json(schema: type[SchemaT], body: bytes, *, limits: FormLimits, orders: Collection[str] = ()) -> SchemaT:
    """Validate fields that came as JSON; `InvalidFieldsError` says which are wrong.

    `orders` are the names of fields that may be as long as the body: lists of ids.

    Raises:
        UploadTooLargeError: A value is larger than a field may be: as text, or as JSON if it is something else.
    """
    check_shape(body, limits)
    fields: object = None
    if len(body) > limits.field_size:  # or no value can be
        with suppress(ValueError):  # whoever validates it says what is wrong
            fields = from_json(body)
    for name, value in fields.items() if isinstance(fields, dict) else ():
        if name in orders and isinstance(value, list):
            continue
        size = len(value.encode() if isinstance(value, str) else to_json(value))
        if size > limits.field_size:
            raise UploadTooLargeError(f"field {name!r}", limit=limits.field_size, actual=size)
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise InvalidFieldsError(error.errors(include_url=False, include_input=False)) from None


MOST_DIGITS: Final = 1000
"""Of a number where its column sets no limit: as many as PostgreSQL lets a column declare. 1e131071 is nine bytes on
its way in, and 131 KB on every way out."""
MOST_DIGITS_IN_A_LIST: Final = 100
FIRST, LAST = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 - on the clock of any time zone
"""Two days from the ends of the calendar: a database shifts a time into its own time zone, and no time of Python's is
beyond the ends."""


def check_storable(value: object) -> object:
    """Return a value that a database gives back as it took it, and JSON can show; raise `ValueError` if it may not."""
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("NaN, Infinity and what is too large for a float are no numbers of JSON")
    if isinstance(value, datetime) and value.tzinfo is not None and not FIRST <= value.replace(tzinfo=None) <= LAST:
        raise ValueError("A time with a time zone must be two days away from the ends of the years 1 to 9999")
    if isinstance(value, Mapping):
        _check_each(cast("Mapping[object, object]", value).values())
    elif isinstance(value, list | tuple | set | frozenset):
        _check_each(cast("Iterable[object]", value))
    return value


def _check_each(values: Iterable[object]) -> None:
    for value in values:
        if isinstance(value, Decimal):
            _, digits, exponent = value.as_tuple()
            if isinstance(exponent, int) and len(digits) + abs(exponent) > MOST_DIGITS_IN_A_LIST:
                raise ValueError(f"A number in a list may have {MOST_DIGITS_IN_A_LIST} digits")
        check_storable(value)
