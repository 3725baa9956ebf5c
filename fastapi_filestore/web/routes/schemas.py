"""Derive how a model's rows look in requests and responses from its columns, unless the user says otherwise."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from math import ceil
from operator import not_
from typing import Annotated, Any, TypeAlias, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    Json,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    create_model,
)
from sqlalchemy import JSON, Column, Float, Numeric, String, inspect

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.forms.limits import FormLimits, check_shape
from fastapi_filestore.orm.column.python_types import is_json_in_forms, python_type, wrapped_type
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.service.pages import AnyDecimal
from fastapi_filestore.web.receiving.form_fields import (
    MOST_DIGITS,
    ColumnFields,
    attributes_of,
    check_storable,
    names_of,
    rename_reserved,
)
from fastapi_filestore.web.routes.model_attributes import (
    AnyColumn,
    AnyElement,
    AnyMapper,
    AnyProperty,
    has_generated_value,
    owned_names,
)

Kind: TypeAlias = Any
"""The annotation of a field: whatever `Annotated` and `|` make of types."""
Fields: TypeAlias = dict[str, Any]

FileId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")]
"""What names a file of a list."""
ORDER = "The ids of all files of the list, each once, in their new order."

PATH_SEGMENT = r"^[^/]*[^/.][^/]*$"
"""What a key that is text must be to stand in a path: no slash, and not only dots."""

UNREADABLE = "The row holds something here that can't be read as a file. The operators can find it with an audit."
"""What a client is told of it: nothing that the row says."""


@dataclass(frozen=True, slots=True)
class Schemas:
    """The models of one resource: a row as it is read, the fields of a new one, the fields of a change."""

    read: type[BaseModel]
    create: type[BaseModel]
    update: type[BaseModel]
    create_json: type[BaseModel]
    """The fields of a new one that comes as JSON, which has words for what is JSON's text in a form."""


class NoFields(BaseModel, extra="forbid"):
    """The fields of a form that has none beside its file."""


def derive_schemas(
    model: type,
    *,
    read: type[BaseModel] | None = None,
    create: type[BaseModel] | None = None,
    update: type[BaseModel] | None = None,
    reserved: frozenset[str] = frozenset(),
    read_only: frozenset[str] = frozenset(),
) -> Schemas:
    """Take the user's models, and derive the missing ones from the columns.

    A client may set a column unless it is a file, a primary key with a default, one that the application or the
    database fills in (a computed default, a server default, an `onupdate`), one that SQLAlchemy owns (a discriminator,
    a version), or reserved. Bytes are base64 in JSON and in forms, both ways; a column of JSON, and of what else text
    has no word for, is JSON's text in forms, which is what new rows come as.

    Raises:
        ConfigurationError: One of the user's models has an attribute that is not for clients to set.
    """
    mapper: AnyMapper = inspect(model)
    owned = owned_names(mapper)
    files = {prop.key for prop in mapper.column_attrs if isinstance(prop.columns[0].type, StoredObject)}
    for schema in filter(None, (create, update)):
        if taken := sorted(reserved & schema.model_fields.keys()):
            raise ConfigurationError(
                f"{schema.__name__}.{taken[0]} would let a client set what defaults= gives new rows: leave it out of "
                "one."
            )
        if schema is create and (taken := sorted(files & set(attributes_of(schema).values()))):
            raise ConfigurationError(
                f"{schema.__name__}.{taken[0]} is a column of files, which come as parts of the form and not as "
                "values: leave it out. Whether a file may be missing is said by the column, and whether clients may "
                f"send one by read_only=[{taken[0]!r}] of files.router."
            )
        if taken := sorted(owned & schema.model_fields.keys()):
            raise ConfigurationError(
                f"{schema.__name__}.{taken[0]} would let a client set what SQLAlchemy sets by itself: "
                f"{model.__name__}.{taken[0]} tells the class of a row (polymorphic_on), counts its versions "
                "(version_id_col) or joins it to its base. Leave it out."
            )
    shown = read or _derive_read(mapper)
    names = {name for attribute, field in shown.model_fields.items() for name in names_of(shown, attribute, field)}
    # Who sees no list, or may not write it, can't put it in another order.
    unsent = (
        read_only | {prop.key for prop in mapper.column_attrs if isinstance(prop.columns[0].type, StoredObject)} - names
    )
    return Schemas(
        read=shown,
        create=create or _derive_create(mapper, reserved | owned),
        update=update or _derive_update(mapper, reserved | owned | unsent),
        create_json=create or _derive_create(mapper, reserved | owned, in_form=False),
    )


@cache
def page_schema(read: type[BaseModel]) -> type[BaseModel]:
    """Return the model of a page of rows."""
    items: Kind = list.__class_getitem__(read)
    name = f"{read.__name__.removesuffix('Read')}Page"
    config = ConfigDict(json_schema_extra=_drop_title)
    return create_model(
        name, __config__=config, __module__=read.__module__, items=(items, ...), next_cursor=(str | None, ...)
    )


def _drop_title(schema: Fields) -> None:
    """Leave a schema the name of its component, which differs where classes of several modules have the same name."""
    schema.pop("title", None)


# Cached, so that two routers of one model have one schema in the application's OpenAPI.


@cache
def _derive_read(mapper: AnyMapper) -> type[BaseModel]:
    shown = [prop for prop in _public(mapper) if not prop.deferred]
    fields: Fields = {prop.key: (_read_type(prop), ...) for prop in shown}
    description = "Why it is null, if its row holds something that can't be read as a file."
    problems: Fields = {
        f"{prop.key}_error": (
            Annotated[str | None, BeforeValidator(_problem)],
            Field(default=None, validation_alias=prop.key, exclude_if=not_, description=description),
        )
        for prop in shown
        if isinstance(_column(prop).type, StoredObject)
    }
    # A column of such a name says what the application wants it to say.
    return _model(mapper, "Read", ConfigDict(from_attributes=True), fields | {**problems, **fields})


@cache
def _derive_create(mapper: AnyMapper, reserved: frozenset[str], *, in_form: bool = True) -> type[BaseModel]:
    fields: Fields = {}
    for prop in _settable(mapper, with_primary_key=True):
        if prop.key not in reserved:
            column = _column(prop)
            # A scalar: computed ones are not for clients to set.
            default = getattr(column.default, "arg", None if column.nullable else ...)
            fields[prop.key] = (_written_type(prop, in_form=in_form), Field(default=default, **_constraints(prop)))
    return _model(mapper, "Create", ConfigDict(extra="forbid", val_json_bytes="base64"), fields)


@cache
def _derive_update(mapper: AnyMapper, reserved: frozenset[str]) -> type[BaseModel]:
    fields: Fields = {
        prop.key: (_written_type(prop), Field(default=None, **_constraints(prop)))
        for prop in _settable(mapper, with_primary_key=False)
        if prop.key not in reserved
    }
    orders: Fields = {
        prop.key: (list[FileId], Field(default=None, description=ORDER))
        for prop in _public(mapper)
        if isinstance(kind := prop.columns[0].type, StoredObject) and kind.multiple and prop.key not in reserved
    }
    return _model(mapper, "Update", ConfigDict(extra="forbid", val_json_bytes="base64"), fields | orders)


def _model(mapper: AnyMapper, suffix: str, config: ConfigDict, fields: Fields) -> type[BaseModel]:
    row = mapper.class_
    options: Fields = {
        "__base__": ColumnFields,
        "__cls_kwargs__": {**config, "json_schema_extra": _drop_title},
        "__module__": row.__module__,
    }
    model: type[BaseModel] = create_model(f"{row.__name__}{suffix}", **options, **Fields(rename_reserved(fields)))
    return model


def _public(mapper: AnyMapper) -> list[AnyProperty]:
    # What a mapper of a union adds, to tell its tables apart, is no attribute of a row.
    tables = {None, *mapper.tables}
    return [
        prop
        for prop in mapper.column_attrs
        if not prop.key.startswith("_") and (not mapper.concrete or getattr(prop.columns[0], "table", None) in tables)
    ]


def _settable(mapper: AnyMapper, *, with_primary_key: bool) -> list[AnyProperty]:
    return [
        prop
        for prop in _public(mapper)
        if isinstance(prop.columns[0], Column)
        and not isinstance(prop.columns[0].type, StoredObject)
        and not any(map(_is_filled_in, prop.columns))  # in the table of a base, too
        and not has_generated_value(mapper, prop)
        and (with_primary_key or not prop.columns[0].primary_key)
    ]


def _is_filled_in(column: AnyElement) -> bool:
    """Tell whether the application or the database gives a column its value."""
    assert isinstance(column, Column), "what is mapped beside a column is one"
    computed = column.default is not None and not column.default.is_scalar
    numbered = column.primary_key and getattr(column.table, "autoincrement_column", None) is column
    later = column.onupdate is not None or column.server_onupdate is not None
    return computed or numbered or later or column.server_default is not None or column.system


def _constraints(prop: AnyProperty) -> Fields:
    kind, column = python_type(prop), _column(prop)
    length = _length(column)
    if kind is Decimal:
        number, digits = wrapped_type(column), MOST_DIGITS
        # A Float's precision is in binary digits, and a scale alone is no limit to any database.
        if isinstance(number, Numeric) and not isinstance(number, Float) and number.precision is not None:
            digits = number.precision
            # Beyond these a scale moves the point out of the digits, which pydantic has no word for.
            if number.scale is not None and 0 <= number.scale <= digits:
                return {"max_digits": digits, "decimal_places": number.scale}
            if number.scale is not None:
                digits = MOST_DIGITS
        return {"max_digits": digits}
    return {
        **({"max_length": length} if kind is str and length is not None else {}),
        **({"pattern": PATH_SEGMENT} if kind in (str, bytes) and column.primary_key else {}),
    }


def _length(column: AnyColumn) -> int | None:
    length = getattr(column.type, "length", None)
    return length if isinstance(length, int) else None


def _problem(value: object) -> str | None:
    """Say why a file column is null though its row holds something."""
    for file in value if isinstance(value, list) else [value]:
        if isinstance(file, FileObject) and file.unreadable is not None:
            return UNREADABLE
    return None


def _readable(value: object) -> object:
    """Return the files of a column; None if one of them can't be read."""
    return value if _problem(value) is None else None


def _read_type(prop: AnyProperty) -> Kind:
    column = _column(prop)
    if isinstance(column.type, StoredObject):
        files: Kind = list[FileObject] if column.type.multiple else FileObject
        # It may be null in a column that is not nullable, for whatever cannot be read.
        return Annotated[files | None, BeforeValidator(_readable)]
    kind = python_type(prop)
    if kind is str and not isinstance(wrapped_type(column), String):
        # Whatever the driver makes of it: an address, say, which an annotation calls text.
        as_text = BeforeValidator(lambda value: value if value is None else str(value))
        return _or_none(Annotated[str, as_text], column)
    shown: dict[Kind, Kind] = {Decimal: AnyDecimal, bytes: _base64()}
    return _or_none(shown.get(kind, kind), column)


def _written_type(prop: AnyProperty, *, in_form: bool = False) -> Kind:
    kind, column = python_type(prop), _column(prop)
    if in_form and (isinstance(wrapped_type(column), JSON) or is_json_in_forms(kind)):
        json: Kind = cast("Kind", Json)[kind]
        return _or_none(Annotated[json, BeforeValidator(_check_text), AfterValidator(check_storable)], column)
    written: dict[Kind, Kind] = {float: FiniteFloat, bytes: _base64(_length(column))}
    if kind is Any:
        return Annotated[kind, AfterValidator(check_storable)]
    if kind is datetime or is_json_in_forms(kind):
        return _or_none(Annotated[kind, AfterValidator(check_storable)], column)
    return _or_none(written.get(kind, kind), column)


def _check_text(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and isinstance(info.context, FormLimits):
        check_shape(value.encode(errors="replace"), info.context)
    return value


def _base64(length: int | None = None) -> Kind:
    characters = {} if length is None else {"maxLength": 4 * ceil(length / 3)}
    schema = WithJsonSchema({"type": "string", "contentEncoding": "base64", **characters})
    serializer = PlainSerializer(lambda value: b64encode(value).decode(), when_used="json")
    return Annotated[bytes, Field(max_length=length), serializer, schema]


def _or_none(kind: Kind, column: AnyColumn) -> Kind:
    is_nullable = getattr(column, "nullable", True)  # an expression may always be NULL
    return kind | None if is_nullable and kind is not Any else kind


def _column(prop: AnyProperty) -> AnyColumn:
    return cast("AnyColumn", prop.columns[0])
