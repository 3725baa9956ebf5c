"""The ledger: a table beside the user's own that remembers, across any crash, which objects may be garbage.

An *upload intent* says that an object may become an orphan. It is committed before bytes move there and removed in the
transaction that writes the row. A *deletion intent* says that no row points to an object any more. It is committed
with the change that made it so, and removed once the object is gone. Both fall due at a moment of the database's clock.

With `keep_deleted` an object stays for a while after its row is gone: a database that comes back from yesterday, or a
row that somebody wants back, finds its file. Nobody but the sweeper deletes it then, and a row that takes it back takes
its intent away. What must go at once is *purged*: its intent looks claimed from the beginning, so no row may have it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from math import isfinite
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from fastapi_filestore.errors import ConfigurationError, DatabaseFailedError, LedgerMissingError
from fastapi_filestore.file_object import Location
from fastapi_filestore.orm.failures.outages import names_missing
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import has_room, writing_bind, writing_connection

DEFAULT_MIN_AGE = 3600.0
"""Seconds before an upload intent falls due: longer than any transaction should be open."""
DEFAULT_BLOCK = 64
"""Paths reserved in one transaction at the most."""

UPLOAD: Final = "upload"
DELETION: Final = "delete"
ABANDONED: Final = "aborted"
"""An upload intent that a sweeper has claimed: nobody can settle it any more, and parts of the upload may be left."""

DEFAULT_NAME = "filestore_intents"
DELETION_GRACE = 60.0
"""Seconds before a sweeper takes a deletion intent: the process that wrote it deletes the object itself at once."""
_INFO = "fastapi_filestore.ledger"
_TRIGGERS = "fastapi_filestore.triggers"


POSTGRESQL_CLOCK: Final = "EXTRACT(EPOCH FROM clock_timestamp())::double precision"
SQLITE_CLOCK: Final = "(julianday('now') - 2440587.5) * 86400.0"
"""The database's clock in SQL, in seconds since the epoch; the triggers read it, too."""


class database_time(FunctionElement[float]):  # noqa: N801 - a SQL function is written like one
    """The database's clock, in seconds since the epoch."""

    type = Float()
    inherit_cache = True


@compiles(database_time)
def _time_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return POSTGRESQL_CLOCK


@compiles(database_time, "sqlite")
def _time_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"({SQLITE_CLOCK})"


@compiles(database_time, "mysql", "mariadb")
def _time_on_mysql(element: Any, compiler: Any, **options: Any) -> str:
    return "UNIX_TIMESTAMP(NOW(6))"


@dataclass(frozen=True, slots=True)
class LedgerTarget:
    """The table that triggers write to, and the seconds before what they write falls due."""

    name: str = DEFAULT_NAME
    schema: str | None = None
    grace: float = DELETION_GRACE


@dataclass(frozen=True, eq=False)
class Ledger:
    """A ledger's table and its pace.

    Attributes:
        table: The table of intents.
        min_age: Seconds before an upload intent falls due.
        block: Paths reserved in one transaction at the most.
        triggers: Whether the database writes deletion intents, too.
        keep_deleted: Seconds that an object stays after no row holds it any more.
    """

    table: Table
    min_age: float = DEFAULT_MIN_AGE
    block: int = DEFAULT_BLOCK
    triggers: bool = False
    keep_deleted: float = 0

    def reserve(self, connection: Connection, backend: str, paths: Sequence[str]) -> None:
        """Write upload intents."""
        self._write(connection, [(backend, path) for path in paths], kind=UPLOAD, after=self.min_age)

    def expect(self, connection: Connection, at: Location, *, seconds: float) -> None:
        """Write, or write anew, the intent of what a client stores by itself: it falls due in so many seconds."""
        self.forget(connection, [at])
        self._write(connection, [at], kind=UPLOAD, after=seconds)

    def settle(self, connection: Connection, locations: Iterable[Location]) -> set[Location]:
        """Remove upload intents, and return those that the transaction does not see: a sweeper may have the objects."""
        wanted = set(locations)
        if len(wanted) == 1:
            [(backend, path)] = wanted
            found = connection.execute(self._settling, {"backend": backend, "path": path}).rowcount
            return set() if found == 1 else wanted
        if not connection.dialect.delete_returning:
            removed = sum(self._remove(connection, wanted, self.table.c.kind == UPLOAD))
            return set() if removed == len(wanted) else wanted
        columns = self.table.c
        for backend, paths in _by_backend(wanted):
            removing = self._at(delete(self.table), backend, paths).where(columns.kind == UPLOAD)
            wanted -= {(backend, path) for path in connection.scalars(removing.returning(columns.path))}
        return wanted

    @cached_property
    def _settling(self) -> Delete:
        # What every upload of one file executes is built once.
        columns = self.table.c
        mine = (columns.backend == bindparam("backend"), columns.path == bindparam("path"), columns.kind == UPLOAD)
        return delete(self.table).where(*mine)

    def intend(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Write deletion intents of objects that are deleted at once; one that is there already is fine."""
        self._write(connection, list(locations), kind=DELETION, after=DELETION_GRACE)

    def keep(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Write deletion intents of objects that stay till then, or put them off that a row had forgotten to take."""
        self._write(connection, list(locations), kind=DELETION, after=self.keep_deleted, again=True)

    def purge(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Write, or rewrite, deletion intents of objects that no row may take back."""
        self._write(connection, list(locations), kind=DELETION, after=DELETION_GRACE, attempts=1, again=True)

    def take_back(self, connection: Connection, locations: Iterable[Location]) -> set[Location]:
        """Remove the deletion intents of objects that were kept, and return those whose objects are certainly there."""
        mine = (self.table.c.kind == DELETION, self.table.c.attempts == 0)
        return {at for at in locations if sum(self._remove(connection, [at], *mine)) == 1}

    def forget(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Remove intents of any kind."""
        list(self._remove(connection, locations))

    def known(self, connection: Connection, locations: Iterable[Location]) -> set[Location]:
        """Return those of the locations that an intent of any kind covers."""
        found = (
            (backend, path)
            for backend, paths in _by_backend(locations)
            for path in connection.scalars(self._at(select(self.table.c.path), backend, paths))
        )
        return set(found)

    def misses_copies(self, dialect: Dialect) -> bool:
        """Tell whether an intent that a trigger or a session wrote may be of an object that a row holds.

        SQLite has no deferred triggers: what is put into a second row before it is taken out of the first is seen in
        the wrong order.
        """
        return self.triggers and dialect.name == "sqlite"

    def renew(self, connection: Connection, locations: Iterable[Location]) -> int:
        """Let upload intents fall due later, since their uploads take long, and return of how many that is true."""
        renewed = (
            connection.execute(
                self._at(update(self.table), backend, paths)
                .where(self.table.c.kind == UPLOAD)
                .values(due_at=database_time() + self.min_age)
            )
            for backend, paths in _by_backend(locations)
        )
        return sum(result.rowcount for result in renewed)

    def _write(
        self,
        connection: Connection,
        locations: Sequence[Location],
        *,
        kind: str,
        after: float,
        attempts: int = 0,
        again: bool = False,
    ) -> None:
        """Write intents; with `again` those that are there and that nobody claimed are written anew."""
        if not locations:
            return
        now: float = connection.execute(select(database_time())).scalar_one()
        values = {"kind": kind, "due_at": now + after, "attempts": attempts}
        rows = [{"backend": backend, "path": path, **values} for backend, path in locations]
        insert_of = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}.get(connection.dialect.name)
        if insert_of is None:
            connection.execute(insert(self.table), rows)
            return
        statement: Any = insert_of(self.table)
        if again:
            new = {name: statement.excluded[name] for name in ("kind", "due_at", "attempts")}
            unclaimed = and_(self.table.c.kind == DELETION, self.table.c.attempts == 0)
            statement = statement.on_conflict_do_update(index_elements=["backend", "path"], set_=new, where=unclaimed)
        else:
            statement = statement.on_conflict_do_nothing()
        connection.execute(statement, rows)

    def _remove(
        self, connection: Connection, locations: Iterable[Location], *conditions: ColumnElement[bool]
    ) -> Iterator[int]:
        for backend, paths in _by_backend(locations):
            yield connection.execute(self._at(delete(self.table), backend, paths).where(*conditions)).rowcount

    def _at(self, statement: Any, backend: str | None, paths: Sequence[str]) -> Any:
        return statement.where(and_(self.table.c.backend == backend, self.table.c.path.in_(paths)))


def _by_backend(locations: Iterable[Location]) -> Iterable[tuple[str | None, list[str]]]:
    groups: dict[str | None, list[str]] = defaultdict(list)
    for backend, path in locations:
        groups[backend].append(path)
    return groups.items()


def seconds_of(name: str, time: object) -> float:
    """Return a time that is given in seconds or as a timedelta; `ConfigurationError` if it is neither."""
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not isfinite(seconds):
        raise ConfigurationError(f"{name} is {time!r}: give the seconds, or a timedelta.")
    return float(seconds)


def watch_tables(metadata: MetaData, ledger: LedgerTarget) -> None:
    """Let every table of a metadata that has file columns have triggers, those defined later included."""
    metadata.info[_TRIGGERS] = ledger


def triggers_target(metadata: MetaData) -> LedgerTarget | None:
    """Return where the triggers of a metadata's tables write to, if its tables are to have any."""
    target: LedgerTarget | None = metadata.info.get(_TRIGGERS)
    return target


def add_ledger(
    metadata: MetaData,
    *,
    name: str = DEFAULT_NAME,
    schema: str | None = None,
    min_age: float = DEFAULT_MIN_AGE,
    block: int = DEFAULT_BLOCK,
    triggers: bool = False,
    keep_deleted: float | timedelta = 0,
) -> Ledger:
    """Put the ledger's table beside the tables of a metadata, so that `create_all` and Alembic know it.

    From then on every session that writes rows of that metadata is crash-safe.

    Args:
        metadata: Usually `Base.metadata`.
        name: The table's name.
        schema: The table's schema; the metadata's own if None.
        min_age: Seconds before the intent of an upload that nobody finished falls due; longer than your longest
            transaction. Uploads that take longer renew theirs.
        block: Paths reserved in one transaction at the most.
        triggers: Let database triggers (SQLite, PostgreSQL) write deletion intents for raw SQL, ON DELETE CASCADE and
            other programs. They come and go with each table that has file columns.
        keep_deleted: How long an object stays after no row holds it any more, in seconds or as a timedelta: as long as
            an older state of the database may come back, or a row be undeleted. Only a sweep deletes it then.

    Raises:
        ConfigurationError: `metadata` is none, or `keep_deleted` is no time.
    """
    if not isinstance(metadata, MetaData):
        raise ConfigurationError(
            f"A ledger is put beside the tables of a MetaData, not of {metadata!r}: Base.metadata."
        )
    kept = seconds_of("keep_deleted", keep_deleted)
    if kept < 0:
        raise ConfigurationError(f"keep_deleted is {keep_deleted!r}: give the seconds, or a timedelta, from 0 on.")
    table = Table(
        name,
        metadata,
        Column("backend", String(255), primary_key=True),
        Column("path", String(1024), primary_key=True),
        Column("kind", String(8), nullable=False),
        Column("due_at", Float(53), nullable=False, index=True),
        Column("attempts", Integer, nullable=False, default=0, server_default="0"),
        Column("error", String(500)),
        schema=schema,
    )
    ledger = Ledger(table, min_age=min_age, block=block, triggers=triggers, keep_deleted=kept)
    metadata.info[_INFO] = ledger
    if triggers:
        watch_tables(metadata, LedgerTarget(table.name, table.schema, kept or DELETION_GRACE))
    return ledger


def ledger_of(metadata: MetaData) -> Ledger | None:
    """Return the ledger of a metadata, if it has one."""
    ledger: Ledger | None = metadata.info.get(_INFO)
    return ledger


def ledger_of_class(mapper: AnyMapper) -> Ledger | None:
    """Return the ledger that covers a mapped class, if it has one."""
    return ledger_of(mapper.local_table.metadata) if isinstance(mapper.local_table, Table) else None


@dataclass(frozen=True, slots=True)
class BoundLedger:
    """A ledger in one database, and the engine for transactions of its own.

    Engines that differ in options alone, as one made for each request, are one if their tables are the same.
    """

    ledger: Ledger
    engine: Engine = field(compare=False)
    dialect: Dialect = field(init=False, repr=False)
    schemas: frozenset[tuple[Any, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # The dialect object is the one thing that they share all their life; a pool is replaced by dispose().
        object.__setattr__(self, "dialect", self.engine.dialect)
        schemas = self.engine.get_execution_options().get("schema_translate_map") or {}
        object.__setattr__(self, "schemas", frozenset(schemas.items()))


def bound_ledger(session: Session, mapper: AnyMapper) -> BoundLedger | None:
    """Return the ledger that covers a mapped class in a session, if there is one that can be written beside it.

    A database with one connection only, or a session inside somebody else's transaction, has no room for a
    transaction of the ledger's own.
    """
    ledger = ledger_of_class(mapper)
    if ledger is None:
        return None
    bind = writing_bind(session, mapper)
    return BoundLedger(ledger, bind) if isinstance(bind, Engine) and has_room(bind) else None


def deletion_ledger(session: Session, mapper: AnyMapper) -> BoundLedger | None:
    """Return the ledger that records what rows of a mapped class lose.

    A ledger that keeps what is deleted is told over the session's own connection, where nothing is beside it, too.
    """
    ledger = ledger_of_class(mapper)
    if ledger is None or not ledger.keep_deleted:
        return bound_ledger(session, mapper)
    return BoundLedger(ledger, writing_connection(session, mapper).engine)


def explain_missing(error: DatabaseFailedError, ledger: Ledger) -> None:
    """Raise `LedgerMissingError` if an error is about the ledger's table, or a column of it, which nobody created."""
    names, table = names_missing(error), ledger.table
    own = {column.name for column in table.columns}
    for name in names:
        *_, first, last = ("", *name.split("."))  # of `app.filestore_intents`, or of `filestore_intents.kind`
        if first == table.name and last in own:
            raise LedgerMissingError(table.fullname, column=last) from None
        if last == table.name:
            beside = next((other for other in names if other in own), None)
            raise LedgerMissingError(table.fullname, column=beside) from None
