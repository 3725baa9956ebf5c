"""Write the ledger, a table beside the user's own (`table.py`) that remembers which objects may be garbage.

It outlasts any crash. An *upload intent* says that an object may become an orphan. It is committed before bytes move
there and removed in the transaction that writes the row. A *deletion intent* says that no row points to an object any
more. It is committed with the change that made it so, and removed once the object is gone. Both fall due at a moment of
the database's clock.

With `keep_deleted` an object stays for a while after its row is gone: a database that comes back from yesterday, or a
row that somebody wants back, finds its file. Nobody but the sweeper deletes it then, and a row that takes it back takes
its intent away. What must go at once is *purged*: its intent looks claimed from the beginning, so no row may have it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    Engine,
    MetaData,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fastapi_filestore.errors import DatabaseFailedError, LedgerMissingError
from fastapi_filestore.file_object import Location
from fastapi_filestore.orm.failures.translate import names_missing
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import has_room, writing_bind, writing_connection
from fastapi_filestore.storage.paths import UPLOAD_GRACE, upload_expiry

DEFAULT_MIN_AGE = 3600.0
"""Seconds before an upload intent falls due: longer than any transaction should be open."""
DEFAULT_BLOCK = 64
"""Paths reserved in one transaction at the most."""

UPLOAD: Final = "upload"
DELETION: Final = "delete"
ABORTED: Final = "aborted"
"""An upload intent that a sweeper has claimed: nobody can settle it any more, and parts of the upload may be left."""

DEFAULT_NAME = "filestore_intents"
DELETION_GRACE = 60.0
"""Seconds before a sweeper takes a deletion intent: the process that wrote it deletes the object itself at once."""
LEDGER_KEY, TRIGGERS_KEY = "fastapi_filestore.ledger", "fastapi_filestore.triggers"
"""Keys in the `info` of a metadata: of its ledger, and of the table that its triggers write to."""


S = TypeVar("S", Select[Any], Update, Delete)


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

    def expect(self, connection: Connection, location: Location, *, seconds: float) -> None:
        """Write the intent of what a client stores by itself, or put it off: it falls due in so many seconds, or later.

        Of several URLs for one path the last to end counts, whichever of them was signed last.
        """
        backend, path = location
        mine = and_(self.table.c.backend == backend, self.table.c.path == path, self.table.c.kind == UPLOAD)
        left: float | None = connection.scalar(select(self.table.c.due_at - database_time()).where(mine))
        self.forget(connection, [location])
        self._write(connection, [location], kind=UPLOAD, after=max(seconds, left or 0))

    def put_off(self, connection: Connection, locations: Iterable[Location], *, seconds: float) -> None:
        """Let upload intents fall due in so many seconds, unless they do so later."""
        due = database_time() + seconds
        for _, statement in self._by_backend(update(self.table), locations):
            earlier = and_(self.table.c.kind == UPLOAD, self.table.c.due_at < due)
            connection.execute(statement.where(earlier).values(due_at=due))

    def settle(self, connection: Connection, locations: Iterable[Location]) -> set[Location]:
        """Remove upload intents, and return those that the transaction does not see: a sweeper may have the objects."""
        wanted = set(locations)
        if len(wanted) == 1:
            [(backend, path)] = wanted
            found = connection.execute(self._settling, {"backend": backend, "path": path}).rowcount
            return set() if found == 1 else wanted
        if not connection.dialect.delete_returning:
            return set() if self._remove(connection, wanted, self.table.c.kind == UPLOAD) == len(wanted) else wanted
        removed = set[Location]()
        for backend, statement in self._by_backend(delete(self.table), wanted):
            removing = statement.where(self.table.c.kind == UPLOAD).returning(self.table.c.path)
            removed |= {(backend, path) for path in connection.scalars(removing)}
        return wanted - removed

    @cached_property
    def _settling(self) -> Delete:
        # What every upload of one file executes is built once.
        columns = self.table.c
        mine = (columns.backend == bindparam("backend"), columns.path == bindparam("path"), columns.kind == UPLOAD)
        return delete(self.table).where(*mine)

    def intend(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Write deletion intents of objects that are deleted at once; one that is there already is fine."""
        self._write(connection, locations, kind=DELETION, after=DELETION_GRACE)

    def keep(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Write deletion intents of objects that stay till then, or put them off that a row had forgotten to take."""
        self._write(connection, locations, kind=DELETION, after=self.keep_deleted, again=True)

    def purge(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Write, or rewrite, deletion intents of objects that no row may take back."""
        self._write(connection, locations, kind=DELETION, after=DELETION_GRACE, attempts=1, again=True)

    def take_back(self, connection: Connection, locations: Iterable[Location]) -> set[Location]:
        """Remove the deletion intents of objects that were kept, and return those whose objects are certainly there."""
        mine = (self.table.c.kind == DELETION, self.table.c.attempts == 0)
        return {location for location in locations if self._remove(connection, [location], *mine) == 1}

    def forget(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Remove intents of any kind."""
        self._remove(connection, locations)

    def note_gone(
        self, connection: Connection, locations: Collection[Location], *, held: Collection[Location] = ()
    ) -> None:
        """Remove the intents of objects that are gone, or `held` by rows.

        Where a client may still store by an upload URL, the deletion intent of what is gone falls due once more when
        that is over, and no row has the path till then.
        """
        ends, lasting = dict[Location, int](), set[Location]()
        for location in locations:
            if location not in held and (expiry := upload_expiry(location[1])):
                ends[location] = expiry + UPLOAD_GRACE
        if ends:
            now: float = connection.execute(select(database_time())).scalar_one()
            lasting = {location for location, end in ends.items() if end > now}
        for backend, path in lasting:
            later = {"kind": DELETION, "due_at": ends[backend, path], "attempts": 1, "error": None}
            mine = (self.table.c.backend == backend, self.table.c.path == path)
            connection.execute(update(self.table).where(*mine).values(later))
        self._remove(connection, set(locations) - lasting if lasting else locations)

    def known(self, connection: Connection, locations: Iterable[Location]) -> set[Location]:
        """Return those of the locations that an intent of any kind covers."""
        statements = self._by_backend(select(self.table.c.path), locations)
        return {(backend, path) for backend, statement in statements for path in connection.scalars(statement)}

    def misses_copies(self, dialect: Dialect) -> bool:
        """Tell whether an intent that a trigger or a session wrote may be of an object that a row holds.

        SQLite has no deferred triggers: what is put into a second row before it is taken out of the first is seen in
        the wrong order.
        """
        return self.triggers and dialect.name == "sqlite"

    def renew(self, connection: Connection, locations: Iterable[Location]) -> int:
        """Let upload intents fall due later, since their uploads take long, and return of how many that is true."""
        due, renewed = self.table.c.due_at, database_time() + self.min_age
        later = {"due_at": case((due > renewed, due), else_=renewed)}
        statements = self._by_backend(update(self.table), locations)
        renewing = (statement.where(self.table.c.kind == UPLOAD).values(later) for _, statement in statements)
        return sum(connection.execute(statement).rowcount for statement in renewing)

    def _write(
        self,
        connection: Connection,
        locations: Iterable[Location],
        *,
        kind: str,
        after: float,
        attempts: int = 0,
        again: bool = False,
    ) -> None:
        """Write intents; with `again` those that are there and that nobody claimed are written anew."""
        if not (wanted := list(locations)):
            return
        now: float = connection.execute(select(database_time())).scalar_one()
        values = {"kind": kind, "due_at": now + after, "attempts": attempts}
        rows = [{"backend": backend, "path": path, **values} for backend, path in wanted]
        dialect = connection.dialect.name
        if dialect not in {"postgresql", "sqlite"}:
            connection.execute(insert(self.table), rows)
            return
        statement: postgresql.Insert | sqlite.Insert
        statement = postgresql.insert(self.table) if dialect == "postgresql" else sqlite.insert(self.table)
        if again:
            new = {name: statement.excluded[name] for name in values}
            unclaimed = and_(self.table.c.kind == DELETION, self.table.c.attempts == 0)
            statement = statement.on_conflict_do_update(index_elements=["backend", "path"], set_=new, where=unclaimed)
        else:
            statement = statement.on_conflict_do_nothing()
        connection.execute(statement, rows)

    def _remove(self, connection: Connection, locations: Iterable[Location], *conditions: ColumnElement[bool]) -> int:
        statements = self._by_backend(delete(self.table), locations)
        return sum(connection.execute(statement.where(*conditions)).rowcount for _, statement in statements)

    def _by_backend(self, statement: S, locations: Iterable[Location]) -> Iterator[tuple[str | None, S]]:
        """Yield the statement about the objects of each backend."""
        paths_by_backend: dict[str | None, list[str]] = defaultdict(list)
        for backend, path in locations:
            paths_by_backend[backend].append(path)
        for backend, paths in paths_by_backend.items():
            yield backend, statement.where(and_(self.table.c.backend == backend, self.table.c.path.in_(paths)))


def triggers_target(metadata: MetaData) -> LedgerTarget | None:
    """Return where the triggers of a metadata's tables write to, if its tables are to have any."""
    target: LedgerTarget | None = metadata.info.get(TRIGGERS_KEY)
    return target


def ledger_of(metadata: MetaData) -> Ledger | None:
    """Return the ledger of a metadata, if it has one."""
    ledger: Ledger | None = metadata.info.get(LEDGER_KEY)
    return ledger


def ledger_of_class(mapper: AnyMapper) -> Ledger | None:
    """Return the ledger that covers a mapped class, if it has one."""
    table = mapper.local_table
    ledger: Ledger | None = table.metadata.info.get(LEDGER_KEY) if isinstance(table, Table) else None
    return ledger


@dataclass(frozen=True, slots=True)
class BoundLedger:
    """A ledger in one database, and the engine for transactions of its own.

    Engines that differ in options alone, as one made for each request, are one if their tables are the same.
    """

    ledger: Ledger
    engine: Engine = field(compare=False)
    dialect: Dialect = field(init=False, repr=False)
    schemas: frozenset[tuple[str | None, str | None]] = field(init=False, repr=False)

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
