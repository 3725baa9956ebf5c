"""Translate errors of a database, or of SQLAlchemy, which mean that a row can't be written as it is.

A database, or its driver, refuses a whole row: which of its values it meant, the types of the columns are asked then.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import BigInteger, ClauseElement, Dialect, Integer, SmallInteger, String, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InvalidRequestError,
    ProgrammingError,
    StatementError,
)
from sqlalchemy.orm.exc import StaleDataError

from fastapi_filestore.errors import (
    ConfigurationError,
    FilestoreError,
    InvalidFieldsError,
    RowConflictError,
    StaleRowError,
)
from fastapi_filestore.orm.failures.translate import is_of_schema
from fastapi_filestore.orm.mapped_types import AnyMapper, AnyType

REFUSED_STATES = ("22", "42804", "42601")
"""SQL states of values that are too long, out of range or not text, of another type than the column, or written in a
way that the type has no sense for, as a search for words may be (SQLAlchemy's own statements have no wrong syntax)."""

CANT_BIND = ("Error binding parameter", "adapt type")
"""Words of drivers that have no error of its own for it: SQLite's, and those of PostgreSQL."""

OF_VALUES: Final = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""Errors that a column's type raises for a value that it can't write."""


@contextmanager
def translate_value_errors(refusal: Callable[[], FilestoreError]) -> Iterator[None]:
    """Raise what `refusal` makes if the database can't take a value that the block asks with.

    A row of the answer that the driver can't read, which has no statement, is nobody's mistake who asks.
    """
    try:
        yield
    except (StatementError, OverflowError) as error:
        if getattr(error, "statement", "") is None or not _is_of_a_value(error):
            raise
        raise refusal() from error


@contextmanager
def translate_attribute_errors(mapper: AnyMapper, name: str) -> Iterator[None]:
    """Raise `InvalidFieldsError` if an attribute does not take what it is given, as `MutableDict` takes dicts only.

    What a validator of the model (`@validates`) says of it is for the client; it may assert, too.
    """
    try:
        yield
    except FilestoreError:
        raise
    except (ValueError, AssertionError) as error:
        is_validated = name in mapper.validators
        if isinstance(error, AssertionError) and not is_validated:
            raise
        reason = (str(error) if is_validated else "") or "This is no value for it"
        raise InvalidFieldsError([{"loc": (name,), "msg": reason, "type": "value"}]) from error


@contextmanager
def translate_row_errors(name: str, blamed: Callable[[], Iterable[str]] = tuple) -> Iterator[None]:
    """Raise `RowConflictError`, `InvalidFieldsError` or `StaleRowError` if what the block writes is refused.

    `blamed` says which attributes of the row have values that can't be written, where that is known.
    """
    try:
        yield
    except IntegrityError as error:
        if is_of_schema(error):
            raise
        raise RowConflictError(name) from error
    except StaleDataError as error:
        raise StaleRowError(name) from error
    except (StatementError, OverflowError) as error:
        if not _is_of_a_value(error):
            raise
        unfit = "A value is too long, out of range, or not of its column's type"
        places = list(blamed()) or [name]
        raise InvalidFieldsError([{"loc": (place,), "msg": unfit, "type": "value"} for place in places]) from error


@contextmanager
def translate_ended_begin(name: str) -> Iterator[None]:
    """Raise `ConfigurationError` if the session is in the block of a `begin()` whose transaction has ended."""
    try:
        yield
    except InvalidRequestError as error:
        if "closed transaction inside context manager" not in str(error):
            raise
        raise ConfigurationError(
            f"The service of {name} has a session of `begin()`, which does nothing any more once its transaction is "
            "committed or rolled back: let the session dependency write `async with Session() as session: yield "
            "session`, and no `Session.begin()`; the service commits it."
        ) from error


def _is_of_a_value(error: StatementError | OverflowError) -> bool:
    if isinstance(error, DataError | OverflowError):  # pysqlite overflows by itself
        return True
    if not isinstance(error, DBAPIError):
        return isinstance(error.orig, OF_VALUES) and not isinstance(error.orig, FilestoreError)
    if isinstance(error, ProgrammingError | InterfaceError) and any(text in str(error.orig) for text in CANT_BIND):
        return True
    # asyncpg has no class of its own for these: a SQL state if PostgreSQL refused, a ValueError if the driver did.
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
    return state.startswith(REFUSED_STATES) or isinstance(getattr(error.orig, "__cause__", None), ValueError)


def unfit_attributes(mapper: AnyMapper, given: Mapping[str, object], dialect: Dialect) -> Iterator[str]:
    """Yield the names of values that their columns can't take, as far as their types tell."""
    for prop in mapper.column_attrs:
        value = given.get(prop.key)
        if not (value is None or isinstance(value, ClauseElement) or _fits(value, prop.columns[0].type, dialect)):
            yield prop.key


def _fits(value: object, column_type: AnyType, dialect: Dialect) -> bool:
    """Tell whether a column of a type can take a value, by writing it as that type does."""
    kind: AnyType = column_type.dialect_impl(dialect)
    write = kind.bind_processor(dialect)
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    is_sqlite = dialect.name == "sqlite"  # which has one type for all numbers, and takes texts of any length
    try:
        if isinstance(kind, JSONB):  # which is taken apart
            return "\\u0000" not in json.dumps(value, default=str, allow_nan=False)
        written = value if write is None else write(value)
        if isinstance(written, str):
            written.encode()
            has_nul = dialect.name == "postgresql" and "\0" in written
            length = kind.length if isinstance(kind, String) and not is_sqlite else None
            return not has_nul and (length is None or len(written) <= length)
    except OF_VALUES:
        return False
    if not (isinstance(written, int) and isinstance(kind, Integer)):
        return True
    bits = 64 if isinstance(kind, BigInteger) or is_sqlite else 16 if isinstance(kind, SmallInteger) else 32
    return -(1 << bits - 1) <= written < 1 << bits - 1
