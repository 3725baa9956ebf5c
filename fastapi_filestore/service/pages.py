"""List rows by keyset: a page costs the same wherever it is, and rows that come or go never shift it.

The method is the "seek method" of Markus Winand (use-the-index-luke.com, "no offset").
"""

from collections.abc import Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from types import NoneType
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import ColumnElement, DateTime, String, and_, asc, desc, inspect, literal, or_, select, type_coerce
from sqlalchemy.orm import QueryableAttribute, RelationshipProperty, Session, selectinload
from sqlalchemy.sql.base import ExecutableOption

from fastapi_filestore.errors import ConfigurationError, InvalidCursorError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.python_types import python_type
from fastapi_filestore.orm.failures.refusals import translate_value_errors
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.storage.base64url import decode_base64url, encode_base64url

ModelT = TypeVar("ModelT")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
"""Rows on one page: enough for any screen, little enough for any memory."""
PAGE_BYTES = 1024**2
"""Bytes of a page's rows, more or less, as JSON; a page of one row may have more."""
STEP = (DEFAULT_LIMIT + 1) // 3
"""Rows that are in memory at a time beside those of the page: few enough to be read in no time, whatever is in them.
A page of the usual length is read in three steps."""
STREAMING = frozenset({"postgresql", "sqlite"})
"""Databases whose drivers can pass rows on as they come, and still answer other questions meanwhile."""
MAX_CURSOR = 64 * 1024
"""Characters of a cursor, as many as any server takes in a URL."""

AS_TEXT = ConfigDict(ser_json_inf_nan="strings", ser_json_bytes="base64", val_json_bytes="base64")
"""How a cursor writes what JSON has no word for."""
AnyDecimal = Annotated[Decimal, Field(allow_inf_nan=True)]
"""A number as a database has it: infinity, too, which SQLite makes of one that is too large for it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[ModelT]):
    """Rows in order, and the cursor of the page after them; None on the last."""

    items: Sequence[ModelT]
    next_cursor: str | None


@dataclass(frozen=True)
class Order(Generic[ModelT]):
    """An order of a model's rows: by a column, `-` before its name for descending, then by primary key.

    Of a scope, only the rows within it; a cursor is a place in the order, so it leads nobody to the others.
    """

    model: type[ModelT]
    by: str | None = None
    scope: ColumnElement[bool] | None = None

    @property
    def descending(self) -> bool:
        """Tell whether the newest, or greatest, comes first."""
        return self.by is None or self.by.startswith("-")

    @cached_property
    def keys(self) -> tuple[QueryableAttribute[Any], ...]:
        """The attributes that order the rows, unique together."""
        mapper = inspect(self.model)
        primary: list[str] = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        names: dict[str, None] = dict.fromkeys([*([self.by.lstrip("-")] if self.by else []), *primary])
        unknown = next((name for name in names if name not in mapper.column_attrs), None)
        if unknown is not None:
            raise ConfigurationError(f"{self.model.__name__} can't be ordered by {unknown!r}: it has no such column.")
        if self.by and getattr(mapper.columns[self.by.lstrip("-")], "nullable", True):
            raise ConfigurationError(
                f"{self.model.__name__} can't be ordered by {self.by!r}: pages would lose rows where it is NULL. "
                "Order by a column that is NOT NULL."
            )
        return tuple(getattr(self.model, name) for name in names)

    def page(self, session: Session, *, limit: int, after: str | None, most_bytes: int = PAGE_BYTES) -> Page[ModelT]:
        """Read the page after a cursor: up to `limit` rows, and as many as fit into so many bytes, but always one.

        Raises:
            InvalidCursorError: The cursor is not one of this order.
        """
        dialect = session.get_bind(inspect(self.model)).dialect.name
        terms = _terms(self.keys, dialect)
        columns: Any = [key.property for key in self.keys]
        kinds = [
            python_type(column) if term is key else str
            for term, key, column in zip(terms, self.keys, columns, strict=True)
        ]
        cursor = _Cursor(kinds)
        shown = [term.label(f"cursor_{position}") for position, term in enumerate(terms)]
        statement = select(self.model, *shown).order_by(*map(desc if self.descending else asc, terms)).limit(limit + 1)
        statement = statement.options(*_read_apart(inspect(self.model)))
        if self.scope is not None:
            statement = statement.where(self.scope)
        if after is not None:
            statement = statement.where(self._beyond(terms, cursor.decode(after)))
        if limit > DEFAULT_LIMIT and _streams(session, inspect(self.model), dialect):
            statement = statement.execution_options(stream_results=True, max_row_buffer=STEP)
        refused = nullcontext() if after is None else translate_value_errors(InvalidCursorError)
        with refused, closing(session.execute(statement)) as found:
            page, is_last = _filled(found.yield_per(STEP), limit, most_bytes)
        return Page([row for row, *_ in page], None if is_last else cursor.encode(page[-1][1:]))

    def _beyond(self, terms: Sequence[Any], values: Sequence[Any]) -> ColumnElement[bool]:
        # (a, b) < (x, y) spelled out, since not every database compares rows.
        alternatives = []
        bounds = [literal(value, term.type) for term, value in zip(terms, values, strict=True)]
        for position, (term, bound) in enumerate(zip(terms, bounds, strict=True)):
            same = [earlier == bounds[index] for index, earlier in enumerate(terms[:position])]
            alternatives.append(and_(*same, term < bound if self.descending else term > bound))
        return or_(*alternatives)


def _read_apart(mapper: AnyMapper) -> list[ExecutableOption]:
    """Return options for relationships that would repeat a row for each of their objects: they are read afterwards."""
    return [
        selectinload(relationship.class_attribute)
        for relationship in mapper.relationships
        if _repeats(relationship, frozenset())
    ]


def _repeats(relationship: RelationshipProperty[Any], before: frozenset[RelationshipProperty[Any]]) -> bool:
    if relationship.lazy not in {"joined", False} or relationship in before:
        return False
    further = relationship.mapper.relationships
    return bool(relationship.uselist) or any(_repeats(inner, before | {relationship}) for inner in further)


def _filled(found: Iterable[Any], limit: int, most_bytes: int) -> tuple[list[Any], bool]:
    """Return the rows of a page, and whether they were the last; what comes after them is not read."""
    page: list[Any] = []
    size = 0
    for row in found:
        size += size_of(row[0])
        if page and (len(page) == limit or size > most_bytes):
            return page, False
        page.append(row)
    return page, True


def _streams(session: Session, mapper: AnyMapper, dialect: str) -> bool:
    """Tell whether rows can come from the database a few at a time: its cursors need a transaction."""
    if dialect not in STREAMING:
        return False
    return dialect != "postgresql" or not getattr(
        session.connection({"mapper": mapper}).connection, "autocommit", False
    )


def _terms(keys: Sequence[QueryableAttribute[Any]], dialect: str) -> list[Any]:
    # SQLite keeps times as text and compares them so; CURRENT_TIMESTAMP and SQLAlchemy write them differently.
    if dialect != "sqlite":
        return list(keys)
    return [type_coerce(key, String) if isinstance(key.type, DateTime) else key for key in keys]


class _Cursor:
    """Values of the last row on a page as text, of the types given and nothing else.

    Whatever a database may hold is a value: numbers that are none, and bytes that are no text, too.
    """

    def __init__(self, types: Sequence[Any]) -> None:
        held: Any = tuple.__class_getitem__(tuple(AnyDecimal if kind is Decimal else kind for kind in types))
        self._values: TypeAdapter[tuple[Any, ...]] = TypeAdapter(held, config=AS_TEXT)

    def encode(self, values: Sequence[Any]) -> str:
        return encode_base64url(self._values.dump_json(tuple(values)))

    def decode(self, cursor: str) -> tuple[Any, ...]:
        if len(cursor) > MAX_CURSOR:
            raise InvalidCursorError
        try:
            return self._values.validate_json(decode_base64url(cursor))
        except (ValidationError, ValueError):
            raise InvalidCursorError from None


FILE_BYTES = 500
"""What is told of a file beside its name, its type and its metadata."""
VALUE_BYTES = 40
"""A name, a number or a date, with its name; and what a list or an object within a value costs beside its text."""
SMALL = (NoneType, bool, int, float, datetime, date, time, timedelta, UUID)
"""What takes no more than that."""


def size_of(row: object) -> int:
    """Return the bytes of what is loaded of a row's columns, as JSON."""
    state: Any = inspect(row)
    return sum(VALUE_BYTES + _size_of(state.dict.get(prop.key)) for prop in state.mapper.column_attrs)


def _size_of(value: object) -> int:
    if isinstance(value, FileObject):
        return FILE_BYTES + _size_of([value.filename, value.content_type, dict(value.metadata)])
    if isinstance(value, list) and any(isinstance(item, FileObject) for item in value):
        return sum(map(_size_of, value))
    if isinstance(value, bytes):
        return len(value) * 4 // 3  # as base64
    if isinstance(value, SMALL):
        return 0
    try:
        text = to_json(value, fallback=str, inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError):  # text that is none, which other programs wrote
        return len(repr(value))
    # Empty lists are three bytes each on a page, and eighty in memory.
    return len(text) + (0 if isinstance(value, str) else VALUE_BYTES * (text.count(b"[") + text.count(b"{")))
