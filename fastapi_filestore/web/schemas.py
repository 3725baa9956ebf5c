"""What a model's rows look like in requests and responses, derived from its columns unless the user says otherwise."""

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from sqlalchemy import Column, inspect
from sqlalchemy.orm import ColumnProperty, Mapper

from fastapi_filestore.errors import InvalidFieldsError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.stored_object import StoredObject

SchemaT = TypeVar("SchemaT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Schemas:
    """The models of one resource: a row as it is read, the fields of a new one, the fields of a change."""

    read: type[BaseModel]
    create: type[BaseModel]
    update: type[BaseModel]


def derive_schemas(
    model: type,
    *,
    read: type[BaseModel] | None = None,
    create: type[BaseModel] | None = None,
    update: type[BaseModel] | None = None,
) -> Schemas:
    """Take the user's models, and derive the missing ones from the columns.

    A client may set a column unless it is a file, a primary key with a default, or one that the application or the
    database fills in: a computed default, a server default, an `onupdate`.
    """
    mapper: Mapper[Any] = inspect(model)
    return Schemas(
        read=read or _derive_read(mapper),
        create=create or _derive_create(mapper),
        update=update or _derive_update(mapper),
    )


def validated(schema: type[SchemaT], data: object) -> SchemaT:
    """Validate the fields of a request; `InvalidFieldsError` says which are wrong."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise InvalidFieldsError(error.errors(include_url=False, include_input=False)) from None


def _derive_read(mapper: Mapper[Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {prop.key: (_read_type(_column(prop)), ...) for prop in mapper.column_attrs}
    return create_model(f"{_name(mapper)}Read", __config__=ConfigDict(from_attributes=True), **fields)


def _derive_create(mapper: Mapper[Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        prop.key: (_written_type(column), _create_default(column))
        for prop, column in _settable(mapper, with_primary_key=True)
    }
    return create_model(f"{_name(mapper)}Create", __config__=ConfigDict(extra="forbid"), **fields)


def _derive_update(mapper: Mapper[Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        prop.key: (_written_type(column), Field(default=None, **_length(column)))
        for prop, column in _settable(mapper, with_primary_key=False)
    }
    return create_model(f"{_name(mapper)}Update", __config__=ConfigDict(extra="forbid"), **fields)


def _settable(mapper: Mapper[Any], *, with_primary_key: bool) -> list[tuple[ColumnProperty[Any], Column[Any]]]:
    pairs = [(prop, _column(prop)) for prop in mapper.column_attrs if isinstance(prop.columns[0], Column)]
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
    return Field(default=default, **_length(column))


def _length(column: Column[Any]) -> dict[str, Any]:
    length = getattr(column.type, "length", None)
    return {"max_length": length} if isinstance(length, int) and _python_type(column) in {str, bytes} else {}


def _read_type(column: Column[Any]) -> Any:
    if isinstance(column.type, StoredObject):
        kind: Any = list[FileObject] if column.type.multiple else FileObject
        return kind | None if column.nullable else kind
    return _written_type(column)


def _written_type(column: Column[Any]) -> Any:
    kind = _python_type(column)
    return kind | None if column.nullable and kind is not Any else kind


def _python_type(column: Column[Any]) -> Any:
    try:
        return column.type.python_type
    except NotImplementedError:  # SQLAlchemy's word for a type that says nothing
        return Any


def _column(prop: ColumnProperty[Any]) -> Any:
    return prop.columns[0]


def _name(mapper: Mapper[Any]) -> str:
    return mapper.class_.__name__
