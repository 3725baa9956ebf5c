"""Which errors of a database mean that it is down or too busy, and that the same request may succeed later."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fastapi_filestore.errors import DatabaseUnavailableError, FilestoreError

SQLITE_BUSY: Final = frozenset({5, 6})
"""Primary result codes of a database, or a table, that somebody else is writing to."""
LOST_RACES: Final = frozenset({"40001", "40P01", "55P03"})
"""SQL states of a serialization failure, a deadlock and a lock that was not to be had."""
NO_SERVICE: Final = ("08", "53", "57P")
"""How SQL states begin of lost connections, of too many of them or too little memory or disk, and of shutdowns."""


@contextmanager
def outages_told() -> Iterator[None]:
    """Raise `DatabaseUnavailableError` if the database can't be used in the block, which uses nothing else."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if not _is_outage(error):
            raise
        # Not from the error itself, whose text has the statement and its values: a log is no place for them.
        raise DatabaseUnavailableError(_reason(error)) from None


def is_contention(error: DBAPIError) -> bool:
    """Tell whether a statement failed only because of what other transactions were doing."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF in SQLITE_BUSY
    return getattr(error.orig, "sqlstate", None) in LOST_RACES


def _is_outage(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):  # a pool that has no connection to give, or a socket's error of asyncpg
        return not isinstance(error, FilestoreError)
    if error.connection_invalidated or is_contention(error):
        return True
    if (getattr(error.orig, "sqlstate", None) or "").startswith(NO_SERVICE):
        return True
    # Without a statement it failed to connect, or to commit.
    return isinstance(error, OperationalError | InterfaceError) and error.statement is None


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"{type(cause).__name__}: {cause}".partition("\n")[0]
