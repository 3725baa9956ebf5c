"""What a model's rows look like in requests and responses, derived from its columns unless the user says otherwise."""

from base64 import b64encode
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from math import ceil
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    Json,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    create_model,
)
from pydantic_core import from_json, to_json
from sqlalchemy import JSON, Column, Float, Numeric, inspect
from sqlalchemy.orm import ColumnProperty, Mapper

from fastapi_filestore.errors import ConfigurationError, InvalidFieldsError, UploadTooLargeError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.json_shape import check_shape
from fastapi_filestore.intake.limits import FormLimits
from fastapi_filestore.orm.stored_object import StoredObject
from fastapi_filestore.service.pages import AnyDecimal

PATH_SEGMENT = r"^[^/]*[^/.][^/]*$"
"""What a key that is text must be to stand in a path: no slash, and not only dots."""

UNREADABLE = "The row holds something here that can't be read as a file. The operators can find it with an audit."
"""What a client is told of it: nothing that the row says."""

SchemaT = TypeVar("SchemaT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Schemas:
    """The models of one resource: a row as it is read, the fields of a new one, the fields of a change."""

    read: type[BaseModel]
    create: type[BaseModel]
    update: type[BaseModel]


class NoFields(BaseModel, extra="forbid"):
    """The fields of a form that has none beside its file."""


def derive_schemas(
    model: type,
    *,
    read: type[BaseModel] | None = None,
    create: type[BaseModel] | None = None,
    update: type[BaseModel] | None = None,
    reserved: frozenset[str] = frozenset(),
) -> Schemas:
    """Take the user's models, and derive the missing ones from the columns.

    A client may set a column unless it is a file, a primary key with a default, one that the application or the
    database fills in (a computed default, a server default, an `onupdate`), or reserved. Bytes are base64 in JSON and
    in forms, both ways; a column of JSON is JSON's text in forms, which is what new rows come as.
    """
    mapper: Mapper[Any] = inspect(model)
    for own in filter(None, (create, update)):
        _refuse_reserved(own, reserved)
    return Schemas(
        read=read or _derive_read(mapper),
        create=create or _derive_create(mapper, reserved),
        update=update or _derive_update(mapper, reserved),
    )


def _refuse_reserved(schema: type[BaseModel], reserved: frozenset[str]) -> None:
    if taken := sorted(reserved & schema.model_fields.keys()):
        raise ConfigurationError(
            f"{schema.__name__}.{taken[0]} would let a client set what defaults= gives new rows: leave it out of one."
        )


def validated(schema: type[SchemaT], data: object, *, limits: FormLimits | None = None) -> SchemaT:
    """Validate the fields of a request; `InvalidFieldsError` says which are wrong.

    Those of JSON columns, which come as JSON's text, are within the limits.
    """
    try:
        return schema.model_validate(data, context=limits)
    except ValidationError as error:
        raise InvalidFieldsError(error.errors(include_url=False, include_input=False)) from None


def validated_json(schema: type[SchemaT], body: bytes, *, limits: FormLimits) -> SchemaT:
    """Validate fields that came as JSON; `InvalidFieldsError` says which are wrong.

    Raises:
        UploadTooLargeError: A value is larger than a field may be: as text, or as JSON if it is something else.
    """
    check_shape(body, limits)
    if len(body) > limits.field_size:  # or no value can be
        _check_sizes(body, limits.field_size)
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise InvalidFieldsError(error.errors(include_url=False, include_input=False)) from None


def _check_sizes(body: bytes, limit: int) -> None:
    try:
        fields = from_json(body)
    except ValueError:  # whoever validates it says what is wrong
        return
    for name, value in fields.items() if isinstance(fields, dict) else ():
        size = len(value.encode() if isinstance(value, str) else to_json(value))
        if size > limit:
            raise UploadTooLargeError(f"field {name!r}", limit=limit, actual=size)


@cache
def page_schema(name: str, read: type[BaseModel]) -> type[BaseModel]:
    """Return the model of a page of rows."""
    items: Any = list.__class_getitem__(read)
    return create_model(f"{name}Page", __module__=read.__module__, items=(items, ...), next_cursor=(str | None, ...))


# Cached, so that two routers of one model have one schema in the application's OpenAPI.


@cache
def _derive_read(mapper: Mapper[Any]) -> type[BaseModel]:
    shown = [prop for prop in _public(mapper) if not prop.deferred]
    fields: dict[str, Any] = {prop.key: (_read_type(_column(prop)), ...) for prop in shown}
    files = [prop for prop in shown if isinstance(_column(prop).type, StoredObject)]
    problems = {f"{prop.key}_error": _problem_of(prop.key) for prop in files}
    # A column of such a name says what the application wants it to say.
    return _model(mapper, "Read", ConfigDict(from_attributes=True), fields | {**problems, **fields})


@cache
def _derive_create(mapper: Mapper[Any], reserved: frozenset[str]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        prop.key: (_form_type(column), _create_default(column))
        for prop, column in _settable(mapper, with_primary_key=True)
        if prop.key not in reserved
    }
    return _model(mapper, "Create", ConfigDict(extra="forbid", val_json_bytes="base64"), fields)


@cache
def _derive_update(mapper: Mapper[Any], reserved: frozenset[str]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        prop.key: (_written_type(column), Field(default=None, **_constraints(column)))
        for prop, column in _settable(mapper, with_primary_key=False)
        if prop.key not in reserved
    }
    return _model(mapper, "Update", ConfigDict(extra="forbid", val_json_bytes="base64"), fields)


def _model(mapper: Mapper[Any], suffix: str, config: ConfigDict, fields: dict[str, Any]) -> type[BaseModel]:
    row = mapper.class_
    return create_model(f"{row.__name__}{suffix}", __config__=config, __module__=row.__module__, **fields)


def _public(mapper: Mapper[Any]) -> list[ColumnProperty[Any]]:
    return [prop for prop in mapper.column_attrs if not prop.key.startswith("_")]


def _settable(mapper: Mapper[Any], *, with_primary_key: bool) -> list[tuple[ColumnProperty[Any], Column[Any]]]:
    pairs = [(prop, _column(prop)) for prop in _public(mapper) if isinstance(prop.columns[0], Column)]
    return [
        (prop, column)
        for prop, column in pairs
        if not isinstance(column.type, StoredObject)
        and not _filled_in(column)
        and (with_primary_key or not column.primary_key)
    ]


def _filled_in(column: Column[Any]) -> bool:
    computed = column.default is not None and not column.default.is_scalar
    numbered = column.primary_key and column.table.autoincrement_column is column
    return computed or numbered or column.server_default is not None or column.onupdate is not None


def _create_default(column: Column[Any]) -> Any:
    fallback = None if column.nullable else ...
    default: Any = getattr(column.default, "arg", fallback)  # a scalar: computed ones are not for clients to set
    return Field(default=default, **_constraints(column))


def _constraints(column: Column[Any]) -> dict[str, Any]:
    kind = _python_type(column)
    if kind is Decimal:
        return _digits(column)
    length = _length(column)
    return {
        **({"max_length": length} if kind is str and length is not None else {}),
        **({"pattern": PATH_SEGMENT} if kind in {str, bytes} and column.primary_key else {}),
    }


def _length(column: Column[Any]) -> int | None:
    length = getattr(column.type, "length", None)
    return length if isinstance(length, int) else None


def _digits(column: Column[Any]) -> dict[str, Any]:
    if not isinstance(column.type, Numeric) or isinstance(column.type, Float) or column.type.precision is None:
        return {}  # a Float's precision is in binary digits, and a scale alone is no limit to any database
    precision, scale = column.type.precision, column.type.scale
    if scale is None:  # a database rounds what is after the point
        return {"max_digits": precision}
    # Beyond these a scale moves the point out of the digits, which pydantic has no word for.
    return {"max_digits": precision, "decimal_places": scale} if 0 <= scale <= precision else {}


def _problem_of(name: str) -> Any:
    """Return the field that says why a file column is null though its row holds something; left out if it is not."""
    kind = Annotated[str | None, BeforeValidator(_problem_in)]
    said = "Why it is null, if its row holds something that can't be read as a file."
    return kind, Field(default=None, validation_alias=name, exclude_if=_is_none, description=said)


def _problem_in(value: object) -> str | None:
    return UNREADABLE if _is_unreadable(value) else None


def _is_unreadable(value: object) -> bool:
    files = value if isinstance(value, list) else [value]
    return any(isinstance(file, FileObject) and file.unreadable is not None for file in files)


def _readable(value: object) -> object:
    return None if _is_unreadable(value) else value


def _is_none(value: object) -> bool:
    return value is None


def _read_type(column: Column[Any]) -> Any:
    if isinstance(column.type, StoredObject):
        files: Any = list[FileObject] if column.type.multiple else FileObject
        # It may be null in a column that is not nullable, for whatever cannot be read.
        return Annotated[files | None, BeforeValidator(_readable)]
    kind = _python_type(column)
    shown: dict[Any, Any] = {Decimal: AnyDecimal, bytes: _base64()}
    return _or_none(shown.get(kind, kind), column)


def _written_type(column: Column[Any]) -> Any:
    kind = _python_type(column)
    written: dict[Any, Any] = {float: FiniteFloat, bytes: _base64(_length(column))}
    return _or_none(written.get(kind, kind), column)


def _form_type(column: Column[Any]) -> Any:
    return _or_none(_BoundedJson, column) if isinstance(column.type, JSON) else _written_type(column)


def _check_text(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and isinstance(info.context, FormLimits):
        check_shape(value.encode(errors="replace"), info.context)
    return value


_BoundedJson = Annotated[Json[Any], BeforeValidator(_check_text)]


def _base64(length: int | None = None) -> Any:
    characters = {} if length is None else {"maxLength": 4 * ceil(length / 3)}
    said = WithJsonSchema({"type": "string", "contentEncoding": "base64", **characters})
    return Annotated[bytes, Field(max_length=length), PlainSerializer(_in_base64, when_used="json"), said]


def _in_base64(value: bytes) -> str:
    return b64encode(value).decode()


def _or_none(kind: Any, column: Column[Any]) -> Any:
    return kind | None if _nullable(column) and kind is not Any else kind


def _nullable(column: Column[Any]) -> bool:
    return getattr(column, "nullable", True)  # an expression may always be NULL


def _python_type(column: Column[Any]) -> Any:
    if isinstance(column.type, JSON):  # SQLAlchemy 2.0 has it for a dict, whatever it holds
        return Any
    try:
        return column.type.python_type
    except NotImplementedError:  # SQLAlchemy's word for a type that says nothing
        return Any


def _column(prop: ColumnProperty[Any]) -> Any:
    return prop.columns[0]
