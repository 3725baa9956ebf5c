"""What the rows of a database say of files, read from the tables in batches, without mapping a row to an object."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Select,
    SelectBase,
    Table,
    and_,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.comparison import backend_of_file, path_of_file
from fastapi_filestore.orm.ledger import Ledger, ledger_of
from fastapi_filestore.orm.stored_object import StoredObject
from fastapi_filestore.service.findings import RowIdentity
from fastapi_filestore.storage.registry import StorageRegistry

ROWS_AT_ONCE = 2000
"""Rows read in one short transaction."""

JSONFile = Mapping[str, Any]
"""One file as a row holds it."""


class Location(NamedTuple):
    """Where an object is: the key of its backend, and its own."""

    backend: str
    path: str


class Reference(NamedTuple):
    """One file that a row holds, with what the row says of it."""

    row: RowIdentity
    backend: str
    path: str
    size: int | None
    etag: str | None
    checksum: str | None

    @property
    def location(self) -> Location:
        """Where the object is."""
        return Location(self.backend, self.path)

    @property
    def place(self) -> tuple[RowIdentity, Location]:
        """Where the reference is: it is another one when the row holds another file."""
        return self.row, self.location


@dataclass(frozen=True)
class FileTable:
    """A table with columns that hold files.

    Attributes:
        table: The table.
        default_backend: Key of the backend of files that name none, in columns that name none.
    """

    table: Table
    default_backend: str

    @cached_property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns that hold files."""
        return tuple(one for one in self.table.columns if isinstance(one.type, StoredObject))

    @cached_property
    def key(self) -> tuple[Column[Any], ...]:
        """The primary key."""
        key = tuple(self.table.primary_key.columns)
        if not key:
            raise ConfigurationError(f"The table {self.table.fullname!r} can't be audited: it has no primary key.")
        return key

    def backend_of(self, one: Column[Any]) -> str:
        """Return the key of the backend of files in a column that name none."""
        assert isinstance(one.type, StoredObject), "only columns that hold files are asked"
        return one.type.backend or self.default_backend

    # -- reading -------------------------------------------------------------------------------------

    def read(self, connection: Connection, *, after: tuple[Any, ...] | None) -> list[tuple[tuple[Any, ...], Any]]:
        """Return the next rows after a primary key: each one's key, and its references."""
        statement = self._rows().order_by(*self.key).limit(ROWS_AT_ONCE)
        if after is not None:
            beyond = self.key[0] > after[0] if len(self.key) == 1 else tuple_(*self.key) > tuple_(*self._bound(after))
            statement = statement.where(beyond)
        return list(self._parsed(connection, statement))

    def reread(self, connection: Connection, identities: Collection[tuple[Any, ...]]) -> list[Reference]:
        """Return what rows hold now; rows that are gone hold nothing."""
        statement = self._rows().where(self._is_one_of(identities))
        return [reference for _, references in self._parsed(connection, statement) for reference in references]

    def _rows(self) -> Select[Any]:
        # As plain JSON: a million rows need no million FileObjects.
        raw = [type_coerce(one, JSON).label(f"file_{number}") for number, one in enumerate(self.columns)]
        return select(*self.key, *raw).where(or_(*(one.is_not(None) for one in self.columns)))

    def _bound(self, identity: tuple[Any, ...]) -> list[ColumnElement[Any]]:
        return [literal(value, one.type) for value, one in zip(identity, self.key, strict=True)]

    def _is_one_of(self, identities: Collection[tuple[Any, ...]]) -> ColumnElement[bool]:
        if len(self.key) == 1:
            return self.key[0].in_([identity[0] for identity in identities])
        return or_(
            *(and_(*(one == value for one, value in zip(self.key, identity, strict=True))) for identity in identities)
        )

    def _parsed(
        self, connection: Connection, statement: Select[Any]
    ) -> Iterator[tuple[tuple[Any, ...], list[Reference]]]:
        width = len(self.key)
        for row in connection.execute(statement):
            identity = tuple(row[:width])
            yield identity, list(self._references(identity, row[width:]))

    def _references(self, identity: tuple[Any, ...], values: Sequence[Any]) -> Iterator[Reference]:
        for one, value in zip(self.columns, values, strict=True):
            row = RowIdentity(self.table.fullname, one.key, identity)
            for file in files_of(value):
                yield Reference(
                    row,
                    file.get("backend") or self.backend_of(one),
                    path_of(file),
                    file.get("size"),
                    file.get("etag"),
                    file.get("checksum"),
                )

    # -- looking for objects ---------------------------------------------------------------------------

    def holding(self, connection: Connection, paths: Sequence[str]) -> Iterator[SelectBase]:
        """Yield a query for each column: the locations among `paths` that it holds."""
        for one in self.columns:
            assert isinstance(one.type, StoredObject), "these are the columns that hold files"
            file = self._element(connection, one) if one.type.multiple else _json(one)
            path, backend = path_of_file(file), backend_of_file(file, self.backend_of(one))
            yield select(backend.label("backend"), path.label("path")).select_from(self.table).where(path.in_(paths))

    def _element(self, connection: Connection, one: Column[Any]) -> ColumnElement[Any]:
        match connection.dialect.name:
            case "postgresql":
                # In its lax mode a value that is no list is a list of one.
                elements = func.jsonb_path_query(type_coerce(one, JSONB), literal_column("'$[*]'"))
                return elements.table_valued(column("value", JSONB), joins_implicitly=True).render_derived().c.value
            case "sqlite":
                return func.json_each(one).table_valued(column("value", JSON), joins_implicitly=True).c.value
            case other:
                raise ConfigurationError(
                    f"{self.table.fullname}.{one.key} holds lists of files, which an audit can look into on PostgreSQL "
                    f"and SQLite only, not on {other}."
                )

    # -- repairing ---------------------------------------------------------------------------------------

    def correct(self, connection: Connection, reference: Reference, facts: Mapping[str, object]) -> bool:
        """Write facts about an object into the row that holds it; False if it holds it no longer."""
        one, condition = self.table.c[reference.row.column], self._is_one_of([reference.row.identity])
        if connection.dialect.name == "sqlite":
            # The write lock, taken before the read, stands in for a row lock.
            connection.execute(update(self.table).where(condition).values({one: one}))
        value = connection.execute(select(_json(one)).where(condition).with_for_update()).scalar_one_or_none()
        corrected = [{**file, **facts} if path_of(file) == reference.path else dict(file) for file in files_of(value)]
        if not any(path_of(file) == reference.path for file in corrected):
            return False
        stored = corrected if isinstance(value, list) else corrected[0]
        json = JSONB() if connection.dialect.name == "postgresql" else JSON()
        connection.execute(update(self.table).where(condition).values({one: type_coerce(stored, json)}))
        return True


def _json(one: Column[Any]) -> ColumnElement[Any]:
    return type_coerce(one, JSON)


def files_of(value: Any) -> list[JSONFile]:
    """Return the files in the JSON of a column, single or list."""
    return [file for file in (value if isinstance(value, list) else [value]) if isinstance(file, Mapping)]


def path_of(file: JSONFile) -> str:
    """Return the object key of a file in JSON; rows of advanced-alchemy have none but the filename."""
    return str(file.get("path") or file.get("filename"))


def held_by_rows(connection: Connection, metadata: MetaData, paths: Sequence[str]) -> set[Location]:
    """Return the locations among `paths` that a row of any table of a metadata holds; it reads whole tables."""
    tables = [FileTable(table, default_backend="") for table in file_tables(metadata)]
    return _locations(connection, [statement for table in tables for statement in table.holding(connection, paths)])


@dataclass(frozen=True)
class Database:
    """One database: the tables in it that hold files, and the ledgers beside them."""

    engine: Engine
    tables: tuple[FileTable, ...]
    ledgers: tuple[Ledger, ...]

    def known(self, paths: Sequence[str], connection: Connection) -> set[Location]:
        """Return the locations among `paths` that a row holds or a ledger knows of, as of one moment."""
        held = [statement for table in self.tables for statement in table.holding(connection, paths)]
        # One statement sees one state: a file that moves to another row, or into a deletion intent, is in either.
        return _locations(connection, [*held, *self._intents(paths)])

    def intended(self, paths: Sequence[str], connection: Connection) -> set[Location]:
        """Return the locations among `paths` that a ledger knows of."""
        return _locations(connection, list(self._intents(paths)))

    def _intents(self, paths: Sequence[str]) -> Iterator[SelectBase]:
        for ledger in self.ledgers:
            backend, path = ledger.table.c.backend, ledger.table.c.path
            yield select(backend, path).where(path.in_(paths))


def _locations(connection: Connection, statements: Sequence[SelectBase]) -> set[Location]:
    if not statements:
        return set()
    rows: Sequence[Any] = connection.execute(union_all(*statements)).all()
    return {Location(backend, path) for backend, path in rows}


def database(
    engine: Engine,
    metadatas: Iterable[MetaData],
    *,
    registry: StorageRegistry,
    is_here: Callable[[Table], bool] = lambda table: True,
) -> Database:
    """Describe the part of metadatas that is in one database."""
    here = {one: [table for table in file_tables(one) if is_here(table)] for one in metadatas}
    default = registry.default_key or ""
    tables = tuple(FileTable(table, default) for found in here.values() for table in found)
    # A ledger is beside the tables that it covers.
    ledgers = tuple(ledger for one, found in here.items() if found and (ledger := ledger_of(one)) is not None)
    return Database(engine, tables, ledgers)


def file_tables(metadata: MetaData) -> list[Table]:
    """Return the tables of a metadata that hold files."""
    return [table for table in metadata.tables.values() if any(isinstance(one.type, StoredObject) for one in table.c)]
