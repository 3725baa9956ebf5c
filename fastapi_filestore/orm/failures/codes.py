"""Explain the error codes of databases: SQL states, SQLite's names, MySQL's numbers; docs/problems.md shows them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a database, or of what it was asked.

    Attributes:
        sentence: What operators read.
        remedy: What they can do about it.
        passes: Whether the same request may succeed a moment later.
        is_quoted: Whether the database's own words may be told: they name tables and users, and hold no values.
    """

    sentence: str
    remedy: str
    passes: bool = False
    is_quoted: bool = False


LOST = Fault("the connection failed", "see that the database is up and can be reached", passes=True, is_quoted=True)
CUT = Fault(
    "the connection was broken off",
    "the next request opens a new one; if this goes on, see whether the database restarts, and what ends connections",
    passes=True,
    is_quoted=True,
)
HANGING = Fault(
    "it did not answer in time",
    "see whether it hangs, and the network; how long it is waited for, the driver is told (docs/processes.md)",
    passes=True,
)
FAILED = Fault("it failed", "look into its own log")
BUSY = Fault("others were faster, or hold what is needed", "it goes on by itself", passes=True, is_quoted=True)
SLOW = Fault(
    "a statement took longer than it may",
    "see what it waits for, or raise statement_timeout, lock_timeout or what MySQL calls so",
    passes=True,
    is_quoted=True,
)
READ_ONLY = Fault(
    "it takes no changes, it is read-only",
    "after a failover connect to the new primary; else see default_transaction_read_only, or who may write the file",
    passes=True,
)
FULL = Fault("its disk is full", "free some room there, or give it more", passes=True, is_quoted=True)
NO_MEMORY = Fault("it has no memory left", "give it more, or lower what connections may use", passes=True)
CROWDED = Fault(
    "it has as many connections as it may",
    "lower the sizes of pools, or raise its limit; who holds connections shows pg_stat_activity",
    passes=True,
    is_quoted=True,
)
NO_CONNECTION_FREE = Fault(
    "no connection of the pool became free",
    "see who keeps connections, or raise pool_size and max_overflow",
    passes=True,
    is_quoted=True,
)
STOPPING = Fault("it is stopping or starting", "it goes on by itself", passes=True, is_quoted=True)
LOGIN = Fault(
    "it refuses the user or the password", "correct them in the URL of the engine, and start again", is_quoted=True
)
NO_DATABASE = Fault("there is no such database", "create it, or correct the URL of the engine", is_quoted=True)
NO_TABLE = Fault(
    "a table, column or function is missing, so the schema is not that of the application",
    "run the migrations (alembic upgrade head)",
    is_quoted=True,
)
FORBIDDEN = Fault("its user may not do this", "GRANT what is missing", is_quoted=True)
BAD_STATEMENT = Fault("it does not take a statement of the application", "see that schema and application fit")
BAD_VALUE = Fault("it does not take a value", "see that columns and application fit")
NOT_READY = Fault(
    "it is not in the state for this",
    "if it accepts no connections, ALTER DATABASE ... ALLOW_CONNECTIONS true; else do what its words ask for",
    passes=True,
    is_quoted=True,
)
OVER_LIMIT = Fault("it needs more than it may use", "raise the limit that its words name", is_quoted=True)
POOLED = Fault(
    "a prepared statement is not there, or there already, as behind a pooler that mixes connections",
    "set max_prepared_statements of PgBouncer, or turn them off: prepare_threshold=None of psycopg, "
    "prepared_statement_cache_size=0 and a prepared_statement_name_func of asyncpg",
    is_quoted=True,
)
FOREIGN = Fault("a foreign table, or what it stands for, failed", "see after the server that it is of")
DEFECT = Fault("it failed inside", "look into its own log, and into that of a pooler in front of it")
AHEAD = Fault(
    "a column that the application does not write must have a value, so the schema is ahead of it",
    "start the release that these migrations belong to, or give the column a default",
    is_quoted=True,
)
CONSTRAINT = Fault("a row breaks a constraint", "see that constraints and application fit")
RAISED = Fault("an exception was raised by a trigger or a function", "look into that trigger or function")
BROKEN = Fault("it can't read or write its files", "see after its disk, and restore a backup if files are damaged")
OLD_PLAN = Fault("a table was changed meanwhile", "it goes on by itself", passes=True)
ENDED = Fault("the transaction had failed or ended before", "look at the first failure")

SQL_STATES: Final[Mapping[str, Fault]] = {
    "08": LOST,
    "08003": CUT,
    "08006": CUT,
    "09": RAISED,
    "0A": BAD_STATEMENT,
    "21": BAD_STATEMENT,
    "22": BAD_VALUE,
    "23": CONSTRAINT,
    "25": ENDED,
    "25006": READ_ONLY,
    "25P03": SLOW,
    "25P04": SLOW,
    "26": POOLED,
    "28": LOGIN,
    "2D": ENDED,
    "2F": RAISED,
    "38": RAISED,
    "39": RAISED,
    "3B": ENDED,
    "3D": NO_DATABASE,
    "3F": NO_TABLE,
    "40": BUSY,
    "42": BAD_STATEMENT,
    "42501": FORBIDDEN,
    "42703": NO_TABLE,
    "42704": NO_TABLE,
    "42883": NO_TABLE,
    "42P01": NO_TABLE,
    "42P05": POOLED,
    "44": CONSTRAINT,
    "53": NO_MEMORY,
    "53100": FULL,
    "53300": CROWDED,
    "53400": OVER_LIMIT,
    "54": OVER_LIMIT,
    "55": BUSY,
    "55000": NOT_READY,
    "57": STOPPING,
    "57014": SLOW,
    "57P01": CUT,
    "57P04": NO_DATABASE,
    "57P05": CUT,
    "58": BROKEN,
    "72": BUSY,
    "F0": BROKEN,
    "HV": FOREIGN,
    "P0": RAISED,
    "XX": DEFECT,
    "XX001": BROKEN,
    "XX002": BROKEN,
}
"""By SQL state or its class, the longest that fits: of PostgreSQL, and of what speaks its protocol."""

SQLITE: Final[Mapping[str, Fault]] = {
    "SQLITE_AUTH": FORBIDDEN,
    "SQLITE_BUSY": BUSY,
    "SQLITE_CANTOPEN": Fault(
        "its file can't be opened", "see its folder, permissions, and how many files are open", passes=True
    ),
    "SQLITE_CONSTRAINT": CONSTRAINT,
    "SQLITE_CONSTRAINT_TRIGGER": RAISED,
    "SQLITE_CORRUPT": BROKEN,
    "SQLITE_FULL": FULL,
    "SQLITE_INTERRUPT": SLOW,
    "SQLITE_IOERR": BROKEN,
    "SQLITE_LOCKED": BUSY,
    "SQLITE_MISMATCH": BAD_VALUE,
    "SQLITE_NOMEM": NO_MEMORY,
    "SQLITE_NOTADB": BROKEN,
    "SQLITE_PERM": FORBIDDEN,
    "SQLITE_PROTOCOL": BUSY,
    "SQLITE_READONLY": READ_ONLY,
    "SQLITE_SCHEMA": OLD_PLAN,
    "SQLITE_TOOBIG": BAD_VALUE,
}
"""By the name of SQLite's result code or its beginning, the longest that fits."""

MYSQL: Final[Mapping[int, Fault]] = {
    **dict.fromkeys((1205, 1213, 3572), BUSY),
    **dict.fromkeys((1317, 1969, 3024), SLOW),
    **dict.fromkeys((1040, 1203, 1226), CROWDED),
    **dict.fromkeys((1290, 1792, 1836, 3100), READ_ONLY),
    **dict.fromkeys((3, 1021, 1114), FULL),
    **dict.fromkeys((1037, 1041), NO_MEMORY),
    **dict.fromkeys((1053, 1077, 1079), STOPPING),
    **dict.fromkeys((1044, 1045, 1698, 1862), LOGIN),
    1049: NO_DATABASE,
    **dict.fromkeys((1054, 1146, 1305), NO_TABLE),
    **dict.fromkeys((1142, 1143, 1227, 1370), FORBIDDEN),
    1364: AHEAD,
    1644: RAISED,
    **dict.fromkeys((1194, 1195, 1877), BROKEN),
    **dict.fromkeys((1158, 1159, 1160, 1161, 2002, 2003, 2005), LOST),
    **dict.fromkeys((2006, 2013, 2055), CUT),
}
"""By the number of MySQL and MariaDB."""

WORDS: Final[tuple[tuple[re.Pattern[str], Fault], ...]] = (
    (re.compile(r"password authentication failed|no password supplied|no pg_hba\.conf|role \S+ does not exist"), LOGIN),
    (re.compile(r"database \S+ does not exist"), NO_DATABASE),
    (re.compile(r"too many (clients|connections)|connection slots are reserved|no more connections"), CROWDED),
    (re.compile(r"database system is"), STOPPING),
    (re.compile(r"terminating connection|connection is (closed|lost)|closed the connection unexpectedly"), CUT),
    (re.compile(r"session is read-only|session is not read-only|server is in hot standby"), READ_ONLY),
    (re.compile(r"^no such (table|column)|has no column named"), NO_TABLE),
    (re.compile(r"statement timeout|lock timeout"), SLOW),
    (re.compile(r"timeout expired"), HANGING),
)
"""By words of a database that gives no code yet, as it refuses a connection, and of SQLite, with one code for these."""
