"""Which errors of a database, or of SQLAlchemy, mean that a row can't be written as it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm.exc import StaleDataError

from fastapi_filestore.errors import FilestoreError, InvalidFieldsError, RowConflictError, StaleRowError

DATA_EXCEPTIONS = "22"
"""The class of SQL states of values that are too long, out of range or not text."""


@contextmanager
def refused_values(refusal: FilestoreError) -> Iterator[None]:
    """Raise `refusal` if the database can't take a value of the block's statements."""
    try:
        yield
    except (StatementError, OverflowError) as error:
        if not _is_of_a_value(error):
            raise
        raise refusal from error


@contextmanager
def refused_rows(name: str) -> Iterator[None]:
    """Raise `RowConflictError`, `InvalidFieldsError` or `StaleRowError` if what the block writes is refused."""
    unfit = {"loc": (name,), "msg": "A value is too long, out of range, or no text for the database", "type": "value"}
    try:
        with refused_values(InvalidFieldsError([unfit])):
            yield
    except IntegrityError as error:
        raise RowConflictError(name) from error
    except StaleDataError as error:
        raise StaleRowError(name) from error


def _is_of_a_value(error: StatementError | OverflowError) -> bool:
    if isinstance(error, DataError | OverflowError):  # pysqlite overflows by itself
        return True
    if not isinstance(error, DBAPIError):
        return isinstance(error.orig, OverflowError)  # and so do types of SQLAlchemy's
    # asyncpg has no class of its own for these: a SQL state if PostgreSQL refused, a ValueError if the driver did.
    state = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith(DATA_EXCEPTIONS) or isinstance(getattr(error.orig, "__cause__", None), ValueError)
