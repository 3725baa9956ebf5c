"""Which values of a row its columns can't take: asked once a database, or its driver, has refused the whole row."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, ClauseElement, Dialect, Integer, SmallInteger, String, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapper
from sqlalchemy.types import TypeEngine

OF_VALUES: Final = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""What a column's type raises for a value that it can't write."""


def unfit_attributes(mapper: Mapper[Any], given: Mapping[str, Any], dialect: Dialect) -> Iterator[str]:
    """Yield the names of values that their columns can't take, as far as their types tell."""
    for prop in mapper.column_attrs:
        value = given.get(prop.key)
        if not (value is None or isinstance(value, ClauseElement) or _fits(value, prop.columns[0].type, dialect)):
            yield prop.key


def _fits(value: object, column_type: TypeEngine[Any], dialect: Dialect) -> bool:
    kind: TypeEngine[Any] = column_type.dialect_impl(dialect)
    write = kind.bind_processor(dialect)
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    try:
        if isinstance(kind, JSONB):  # which is taken apart
            return "\\u0000" not in json.dumps(value, default=str, allow_nan=False)
        written = value if write is None else write(value)
        if isinstance(written, str):
            written.encode()
            return _is_text_of(kind, written, dialect)
    except OF_VALUES:
        return False
    return not isinstance(written, int) or _is_number_of(kind, written, dialect)


def _is_number_of(kind: TypeEngine[Any], number: int, dialect: Dialect) -> bool:
    if not isinstance(kind, Integer):
        return True
    is_large = isinstance(kind, BigInteger) or dialect.name == "sqlite"  # which has one type for all
    bits = 64 if is_large else 16 if isinstance(kind, SmallInteger) else 32
    return -(1 << bits - 1) <= number < 1 << bits - 1


def _is_text_of(kind: TypeEngine[Any], text: str, dialect: Dialect) -> bool:
    if dialect.name == "postgresql" and "\0" in text:
        return False
    length = kind.length if isinstance(kind, String) and dialect.name != "sqlite" else None
    return length is None or len(text) <= length
