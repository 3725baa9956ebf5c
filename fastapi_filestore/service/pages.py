"""List rows by keyset: a page costs the same wherever it is, and rows that come or go never shift it.

The method is the "seek method" of Markus Winand (use-the-index-luke.com, "no offset").
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from operator import ge, gt, le, lt
from types import NoneType
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import (
    ColumnElement,
    DateTime,
    String,
    and_,
    asc,
    case,
    desc,
    false,
    inspect,
    literal,
    null,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import RelationshipProperty, Session, selectinload
from sqlalchemy.sql.base import ExecutableOption

from fastapi_filestore.errors import InvalidCursorError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.python_types import python_type
from fastapi_filestore.orm.failures.refusals import translate_value_errors
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.service.sorting import require_orderable
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
KNOWS_NULLS_LAST = frozenset({"postgresql", "sqlite", "oracle"})
"""Databases that have words for it."""
MAX_CURSOR = 64 * 1024
"""Characters of a cursor, as many as any server takes in a URL."""

AS_TEXT = ConfigDict(ser_json_inf_nan="strings", ser_json_bytes="base64", val_json_bytes="base64")
"""How a cursor writes what JSON has no word for."""
AnyDecimal: Any = Annotated[Decimal, Field(allow_inf_nan=True)]
"""A number as a database has it: infinity, too, which SQLite makes of one that is too large for it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[ModelT]):
    """Rows in order, and the cursor of the page after them; None on the last."""

    items: Sequence[ModelT]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Term:
    """One expression that orders rows; those without a value come last, whichever way it goes."""

    expression: Any
    kind: Any
    descending: bool
    nullable: bool

    def ordering(self, dialect: str) -> list[Any]:
        """Return what the rows are ordered by."""
        directed = desc(self.expression) if self.descending else asc(self.expression)
        if not self.nullable:
            return [directed]
        if dialect in KNOWS_NULLS_LAST:
            return [directed.nulls_last()]
        return [case((self.expression.is_(None), 1), else_=0), directed]

    def same(self, value: object) -> ColumnElement[bool]:
        """Return the condition of the rows with a value."""
        condition: ColumnElement[bool] = self.expression == (null() if value is None else self._bound(value))
        return condition

    def beyond(self, value: object, *, inclusive: bool = False) -> ColumnElement[bool]:
        """Return the condition of the rows that come after those with a value, or, `inclusive`, of these, too."""
        if value is None:  # nothing comes after
            return false()
        operator = {(True, False): lt, (True, True): le, (False, False): gt, (False, True): ge}
        further: ColumnElement[bool] = operator[self.descending, inclusive](self.expression, self._bound(value))
        return or_(further, self.expression.is_(None)) if self.nullable else further

    def _bound(self, value: object) -> ColumnElement[Any]:
        return literal(value, self.expression.type)


@dataclass(frozen=True)
class Order(Generic[ModelT]):
    """An order of a model's rows: by columns, `-` before a name for descending, then by primary key.

    Of a scope, only the rows within it; a cursor is a place in the order, so it leads nobody to the others. It begins
    with the `label` of the order, if that is one of several that a client may choose of.
    """

    model: type[ModelT]
    by: Sequence[str] = ()
    scope: ColumnElement[bool] | None = None
    label: str = ""

    @cached_property
    def keys(self) -> dict[str, bool]:
        """The attributes that order the rows, unique together, and whether each is descending."""
        keys = {term.removeprefix("-"): term.startswith("-") for term in self.by}
        descending = list(keys.values())[-1] if keys else True  # the newest row first
        mapper = inspect(self.model)
        primary = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        return keys | {name: descending for name in primary if name not in keys}

    def _terms(self, dialect: str) -> list[_Term]:
        mapper = inspect(self.model)
        terms = list[_Term]()
        for name, descending in self.keys.items():
            nullable = getattr(require_orderable(mapper, name), "nullable", True)
            key: Any = getattr(self.model, name)
            kind = python_type(key.property)
            # SQLite keeps times as text and compares them so; CURRENT_TIMESTAMP and SQLAlchemy write them differently.
            if dialect == "sqlite" and isinstance(key.type, DateTime):
                key, kind = type_coerce(key, String), str
            terms.append(_Term(key, kind | None if nullable else kind, descending, nullable))
        return terms

    def page(self, session: Session, *, limit: int, after: str | None, most_bytes: int = PAGE_BYTES) -> Page[ModelT]:
        """Read the page after a cursor: up to `limit` rows, and as many as fit into so many bytes, but always one.

        Raises:
            InvalidCursorError: The cursor is not one of this order.
        """
        dialect = session.get_bind(inspect(self.model)).dialect.name
        terms = self._terms(dialect)
        cursor = _Cursor([term.kind for term in terms], self.label)
        shown = [term.expression.label(f"cursor_{position}") for position, term in enumerate(terms)]
        ordering = [expression for term in terms for expression in term.ordering(dialect)]
        statement = select(self.model, *shown).order_by(*ordering).limit(limit + 1)
        statement = statement.options(*_read_apart(inspect(self.model)))
        if self.scope is not None:
            statement = statement.where(self.scope)
        if after is not None:
            statement = statement.where(*_beyond(terms, cursor.decode(after)))
        if limit > DEFAULT_LIMIT and _streams(session, inspect(self.model), dialect):
            statement = statement.execution_options(stream_results=True, max_row_buffer=STEP)
        refused = nullcontext() if after is None else translate_value_errors(InvalidCursorError)
        with refused, closing(session.execute(statement)) as found:
            page, is_last = _filled(found.yield_per(STEP), limit, most_bytes)
        return Page([row for row, *_ in page], None if is_last else cursor.encode(page[-1][1:]))


def _beyond(terms: Sequence[_Term], values: Sequence[Any]) -> Iterator[ColumnElement[bool]]:
    """Give the conditions of the rows after one with these values."""
    # (a, b) < (x, y) spelled out, since not every database compares rows, and each column has a direction of its own.
    same = [term.same(value) for term, value in zip(terms, values, strict=True)]
    yield or_(
        *(
            and_(*same[:position], term.beyond(value))
            for position, (term, value) in enumerate(zip(terms, values, strict=True))
        )
    )
    # It follows from that, and lets an index of the first column begin where the page does.
    if len(terms) > 1 and not terms[0].nullable:
        yield terms[0].beyond(values[0], inclusive=True)


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


class _Cursor:
    """Values of the last row on a page as text, of the types given and nothing else, behind the label of their order.

    Whatever a database may hold is a value: numbers that are none, and bytes that are no text, too.
    """

    def __init__(self, types: Sequence[Any], label: str = "") -> None:
        held: Any = tuple.__class_getitem__(tuple(map(_with_any_decimal, types)))
        self._values: TypeAdapter[tuple[Any, ...]] = TypeAdapter(held, config=AS_TEXT)
        self._label = f"{label}\n".encode() if label else b""  # no beginning of a JSON list

    def encode(self, values: Sequence[Any]) -> str:
        return encode_base64url(self._label + self._values.dump_json(tuple(values)))

    def decode(self, cursor: str) -> tuple[Any, ...]:
        if len(cursor) > MAX_CURSOR:
            raise InvalidCursorError
        try:
            content = decode_base64url(cursor)
            if not content.startswith(self._label):
                raise InvalidCursorError
            return self._values.validate_json(content[len(self._label) :])
        except (ValidationError, ValueError):
            raise InvalidCursorError from None


def _with_any_decimal(kind: Any) -> Any:
    if kind == Decimal | None:
        return AnyDecimal | None
    return AnyDecimal if kind is Decimal else kind


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
