"""Listings by keyset: a page costs the same wherever it is, and rows that come or go never shift it.

The method is the "seek method" of Markus Winand (use-the-index-luke.com, "no offset").
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Select, and_, inspect, or_, select
from sqlalchemy.orm import QueryableAttribute, Session

from fastapi_filestore.errors import ConfigurationError, InvalidCursorError

ModelT = TypeVar("ModelT")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
"""Rows on one page: enough for any screen, little enough for any memory."""


@dataclass(frozen=True, slots=True)
class Page(Generic[ModelT]):
    """Rows in order, and the cursor of the page after them; None on the last."""

    items: Sequence[ModelT]
    next_cursor: str | None


@dataclass(frozen=True)
class Order(Generic[ModelT]):
    """An order of a model's rows: by a column, `-` before its name for descending, then by primary key."""

    model: type[ModelT]
    by: str | None = None

    @property
    def descending(self) -> bool:
        """Whether the newest, or greatest, comes first."""
        return self.by is None or self.by.startswith("-")

    @cached_property
    def keys(self) -> tuple[QueryableAttribute[Any], ...]:
        """The attributes that order the rows, unique together."""
        mapper = inspect(self.model)
        primary = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        names = dict.fromkeys([*([self.by.lstrip("-")] if self.by else []), *primary])
        unknown = next((name for name in names if name not in mapper.column_attrs), None)
        if unknown is not None:
            raise ConfigurationError(f"{self.model.__name__} can't be ordered by {unknown!r}: it has no such column.")
        return tuple(getattr(self.model, name) for name in names)

    def page(self, session: Session, *, limit: int, after: str | None) -> Page[ModelT]:
        """Read the page after a cursor; `InvalidCursorError` if the cursor is not one of this order."""
        statement = self._sorted(select(self.model)).limit(limit + 1)
        if after is not None:
            statement = statement.where(self._beyond(self._decode(after)))
        rows: Sequence[ModelT] = session.scalars(statement).all()
        more = len(rows) > limit
        return Page(rows[:limit], self._encode(rows[limit - 1]) if more else None)

    def _sorted(self, statement: Select[Any]) -> Select[Any]:
        return statement.order_by(*(key.desc() if self.descending else key.asc() for key in self.keys))

    def _beyond(self, values: Sequence[Any]) -> ColumnElement[bool]:
        # (a, b) < (x, y) spelled out, since not every database compares rows.
        alternatives = []
        for position, (key, value) in enumerate(zip(self.keys, values, strict=True)):
            same = [earlier == values[index] for index, earlier in enumerate(self.keys[:position])]
            alternatives.append(and_(*same, key < value if self.descending else key > value))
        return or_(*alternatives)

    @cached_property
    def _cursor(self) -> TypeAdapter[tuple[Any, ...]]:
        types = tuple(key.type.python_type for key in self.keys)
        return TypeAdapter(tuple[types])  # type: ignore[valid-type]

    def _encode(self, row: ModelT) -> str:
        values = tuple(getattr(row, key.key) for key in self.keys)
        return urlsafe_b64encode(self._cursor.dump_json(values)).rstrip(b"=").decode()

    def _decode(self, cursor: str) -> tuple[Any, ...]:
        try:
            return self._cursor.validate_json(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        except (ValidationError, ValueError):
            raise InvalidCursorError from None
