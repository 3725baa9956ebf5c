"""Translate errors of a database into ours: those that pass, such as an outage, and those that would come again.

Their text has the statement and its values, and a traceback would print it: a log is no place for them.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fastapi_filestore.errors import (
    DatabaseFailedError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    FilestoreError,
    RowConflictError,
)
from fastapi_filestore.orm.failures.codes import (
    AHEAD,
    BUSY,
    CUT,
    FAILED,
    FULL,
    HANGING,
    LOST,
    MYSQL,
    NO_CONNECTION_FREE,
    NO_TABLE,
    OLD_PLAN,
    RAISED,
    READ_ONLY,
    SQL_STATES,
    SQLITE,
    WORDS,
    Fault,
)

DRIVERS: Final = frozenset({"aiosqlite", "asyncpg", "psycopg", "psycopg2", "sqlite3"})
"""Drivers whose errors SQLAlchemy does not always wrap: asyncpg's of a connection, in SQLAlchemy 2.0."""
SQLITE_BUSY: Final = frozenset({5, 6})
"""Primary result codes of a database, or a table, that somebody else is writing to."""
LOST_RACES: Final = frozenset({"40001", "40P01", "55P03"})
"""SQL states of a serialization failure, a deadlock and a lock that was not to be had."""
NOT_NULL: Final = frozenset({"23502", "SQLITE_CONSTRAINT_NOTNULL"})
"""Codes of a column that must have a value and has none."""
SILENT: Final = frozenset({CUT, HANGING, LOST, NO_CONNECTION_FREE})
"""Faults that are told without a word of the database's own."""
OURS: Final = "fastapi_filestore:"
"""The beginning of what a trigger of ours raises."""
RAISING: Final = "exec_stmt_raise"
"""The function of PostgreSQL's in which an exception of PL/pgSQL begins, whatever its SQL state."""
LONGEST_QUOTE: Final = 200
NO_CHANGES: Final = {READ_ONLY: DatabaseReadOnlyError, FULL: DatabaseFullError}
"""Errors for a database that answers, and can be read, and refuses changes."""

_NAME = re.compile(r"[^\W\d][\w$]*(?:\.[\w$]+)*")
_CLASS = re.compile(r"^<class '[^']*'>: ")
_FUNCTION = re.compile(r"PL/\w+ function [\w.\"]+\([^)]*\) line \d+")


@contextmanager
def translate_outages(url: URL | None = None) -> Iterator[None]:
    """Raise an error of ours for whatever a database fails with in the block, which uses nothing else.

    `url` says where it is, for operators who have several.

    Raises:
        DatabaseUnavailableError: The same may succeed later; `DatabaseReadOnlyError` and `DatabaseFullError` are those
            that somebody has to do something about.
        DatabaseFailedError: It would fail again.
        RowConflictError: A row breaks a constraint.
    """
    try:
        yield
    except Exception as error:
        # A driver may let a socket's own error through.
        if isinstance(error, FilestoreError) or not (is_of_database(error) or isinstance(error, OSError)):
            raise
        raise translate_error(error, url) from None


def is_of_database(error: Exception) -> bool:
    """Tell whether an error comes of a database and of nothing else."""
    return isinstance(error, DBAPIError | PoolTimeoutError) or type(error).__module__.partition(".")[0] in DRIVERS


def translate_error(error: Exception, url: URL | None = None) -> FilestoreError:
    """Return the error of ours for one of a database; its words have neither the statement nor values."""
    if isinstance(error, IntegrityError) and not is_of_schema(error):
        return RowConflictError("row")
    fault, code, origin = fault_in(error), _code(error), _origin(error)
    is_passing = fault.passes or (isinstance(error, DBAPIError) and error.connection_invalidated)
    error_class = NO_CHANGES.get(fault, DatabaseUnavailableError if is_passing else DatabaseFailedError)
    facts = " ".join(filter(None, (code, _name(origin))))
    # The database's own words are told where they can't hold values; else the function of it that raised them.
    if _text(origin).startswith(OURS) or (fault.is_quoted and not _is_raised(origin)):
        facts += f": {_text(origin)}"
    elif place := _FUNCTION.search(str(getattr(getattr(origin, "diag", origin.__cause__), "context", ""))):
        facts += f" in {place[0]}"
    # Whoever got no answer may not even say whom he asked. User, password and options, which may hold them, stay out.
    # SQLite says of no failure which file it is about.
    if url is not None and (fault in SILENT or url.get_backend_name() == "sqlite"):
        bare = URL.create(url.drivername, host=url.host, port=url.port, database=url.database)
        facts += f", {bare.render_as_string()}"
    return error_class(f"{fault.sentence}: {fault.remedy} ({facts})", code=code)


def is_contention(error: DBAPIError) -> bool:
    """Tell whether a statement failed only because of what other transactions were doing."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF in SQLITE_BUSY
    return getattr(error.orig, "sqlstate", None) in LOST_RACES


def is_raised_by_trigger(error: Exception) -> bool:
    """Tell whether a trigger raised an error that stands for nothing else; SQLite calls it one of integrity."""
    return fault_of_code(error) is RAISED


def is_of_schema(error: IntegrityError) -> bool:
    """Tell whether a broken constraint is the operators' to mend, since no value of a client breaks it."""
    return is_raised_by_trigger(error) or _lacks_unwritten(error)


def names_missing(error: DatabaseFailedError) -> list[str]:
    """Return the names, in the database's own words, that tell which table or column it lacks; none if it lacks none.

    They are alone, as in `column "a" of relation "t"`, or have dots, as in `no such column: t.a`.
    """
    head = f"{NO_TABLE.sentence}: {NO_TABLE.remedy} ("
    return _NAME.findall(error.reason.removeprefix(head)) if error.reason.startswith(head) else []


def fault_in(error: Exception) -> Fault:
    """Return the fault that an error of a database tells."""
    if isinstance(error, PoolTimeoutError):
        return NO_CONNECTION_FREE
    if isinstance(error, OSError):  # of a socket, or of the driver's own clock
        return HANGING if isinstance(error, TimeoutError) else LOST
    origin = _origin(error)
    text = _text(origin)
    if text.startswith(OURS) and is_raised_by_trigger(error):
        return BUSY
    if _is_raised(origin) and _code(error) not in LOST_RACES:
        return RAISED
    known = AHEAD if _lacks_unwritten(error) else fault_of_code(error)
    if _name(origin).startswith("InvalidCachedStatement"):
        known = OLD_PLAN
    # Without a statement it failed to connect, or to commit.
    is_lost = isinstance(error, OperationalError | InterfaceError) and error.statement is None
    default = LOST if (is_lost or not isinstance(error, DBAPIError)) and _code(error) is None else FAILED
    if isinstance(error, DBAPIError) and error.connection_invalidated:  # the dialect knows how its driver says so
        default = CUT
    return known or next((fault for pattern, fault in WORDS if pattern.search(text)), default)


def fault_of_code(error: Exception) -> Fault | None:
    """Return the fault that the code of a database's error stands for, if it has one that is known."""
    if (code := _code(error)) is None:
        return None
    if code.startswith("MySQL "):
        return MYSQL.get(int(code.removeprefix("MySQL ")))
    if code.startswith("SQLITE_"):
        return SQLITE.get(code) or SQLITE.get("_".join(code.split("_")[:2]))
    return SQL_STATES.get(code) or SQL_STATES.get(code[:2])


def _lacks_unwritten(error: Exception) -> bool:
    """Tell whether a column must have a value that the statement does not write: the mapped class does not know it."""
    if not isinstance(error, IntegrityError) or error.statement is None or _code(error) not in NOT_NULL:
        return False
    origin = _origin(error)
    names = [getattr(source, "column_name", None) for source in (getattr(origin, "diag", None), origin.__cause__)]
    # Else `NOT NULL constraint failed: letters.title` of SQLite.
    column = next(filter(None, names), _text(origin).rpartition(".")[2])
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", error.statement) is None


def _origin(error: Exception) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _code(error: Exception) -> str | None:
    origin = _origin(error)
    for source in (origin, origin.__cause__):  # what stands in for an asynchronous driver has its error as the cause
        state = getattr(source, "sqlstate", None) or getattr(source, "pgcode", None)
        name = getattr(source, "sqlite_errorname", None)
        if isinstance(state or name, str):
            return str(state or name)
    number = origin.args[0] if origin.args else None
    return f"MySQL {number}" if isinstance(number, int) and isinstance(error, DBAPIError) else None


def _name(origin: BaseException) -> str:
    """Return what an error is called; what stands in for a driver's has a name that says less than its cause's."""
    cause = origin.__cause__
    return type(cause if type(origin).__module__.startswith("sqlalchemy") and cause else origin).__name__


def _text(origin: BaseException) -> str:
    line = _CLASS.sub("", str(origin)).strip().partition("\n")[0]
    return line.partition(" (Background on this error")[0][:LONGEST_QUOTE]


def _is_raised(origin: BaseException) -> bool:
    """Tell whether a trigger or a function raised it: its words, and its SQL state, are those of the application."""
    sources = (getattr(origin, "diag", None), origin.__cause__)
    names = ("source_function", "server_source_function")
    return any(getattr(source, name, None) == RAISING for source in sources for name in names)
