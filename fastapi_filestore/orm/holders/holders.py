"""Ask one question, under one lock: which rows of a database hold an object?

It is asked before a row takes a path that its transaction did not generate, and before an object goes whose path is
not of our own generated form: by sessions, bulk statements, the sweeper and the audit. Whoever gains a path and whoever
loses it take the same lock until their transactions end, so that each sees what the other has committed.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Dialect,
    MetaData,
    SelectBase,
    Table,
    bindparam,
    column,
    func,
    inspect,
    select,
    union_all,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, configure_mappers

from fastapi_filestore.file_object import Location
from fastapi_filestore.file_object.record import path_of
from fastapi_filestore.orm.column.attributes import HeldFiles, file_mappers
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.column.table_rows import key_in, take_write_lock
from fastapi_filestore.orm.column.tables import columns_in, file_columns_of, names_in, schema_in
from fastapi_filestore.orm.holders.held_paths import rows_holding
from fastapi_filestore.orm.holders.views import ColumnPlace, Place, columns_behind, views_among
from fastapi_filestore.orm.ledger.ledger import Ledger, ledger_of
from fastapi_filestore.orm.mapped_types import AnyColumn, AnyMapper, Identity
from fastapi_filestore.orm.sessions import writing_connection
from fastapi_filestore.storage.paths import forms_in_stores

L = TypeVar("L", bound=Location)

PATHS_AT_ONCE = 200
"""Paths that one statement looks for: below every database's limit of parameters, whatever columns there are."""


# -- the lock --------------------------------------------------------------------------------------------


def lock(connection: Connection, locations: Iterable[Location], table: Table) -> None:
    """Keep every other transaction that gains or loses one of some objects waiting until this one ends.

    On PostgreSQL these are advisory locks, taken in one order; on SQLite its write lock, by way of a table that the
    transaction may write. Other databases have none that ends with a transaction: there the question is asked without.
    """
    if connection.dialect.name == "sqlite":
        take_write_lock(connection, table)
    elif connection.dialect.name == "postgresql":
        places = {f"{backend or ''}\0{path}".encode() for backend, path in locations}
        numbers = {int.from_bytes(sha256(place).digest()[:8], signed=True) for place in places}
        keys = bindparam(None, sorted(numbers), type_=ARRAY(BigInteger))
        rows = func.unnest(keys).table_valued(column("key", BigInteger)).render_derived()
        connection.execute(select(func.pg_advisory_xact_lock(rows.c.key)))


def condemn(
    connection: Connection, ledgers: Sequence[Ledger], locations: Collection[L], held: Callable[[], set[L]]
) -> set[L]:
    """Keep rows from taking objects from now on, but for those that `held`, asked under the lock, says are not to go.

    Returns these. Where there is no ledger nobody is kept from anything.
    """
    for ledger in ledgers[:1]:
        lock(connection, locations, ledger.table)
    spared = held()
    for ledger in ledgers:
        ledger.purge(connection, [location for location in locations if location not in spared])
    return spared


# -- the question ----------------------------------------------------------------------------------------


def places_holding(
    connection: Connection, tables: Iterable[Table], locations: Collection[Location]
) -> Counter[Location]:
    """Return in how many places rows hold objects: a place is a row's column, however often a list has the file.

    Tables that are not in the database are left out; of a view, the tables are asked that it shows. Without an index
    (`StoredObject(index=True)`) it reads whole tables.
    """
    found = Counter[Location]()
    columns = _file_columns(connection, tables)
    for location, count in _places_in(connection, columns, {path for _, path in locations}):
        found[location] += count
    return Counter({location: found[location] for location in locations if location in found})


def find_behind_views(connection: Connection, tables: Collection[Table], paths: Collection[str]) -> set[Location]:
    """Return where rows hold some paths that a mapped view may not show: its condition leaves some rows out."""
    columns = _file_columns(connection, tables)
    unmapped = [file_column for file_column in columns if file_column.table not in tables]
    return {(backend, path) for (backend, path), _ in _places_in(connection, unmapped, paths) if path in paths}


def _places_in(
    connection: Connection, columns: Collection[AnyColumn], paths: Collection[str]
) -> Iterator[tuple[Location, int]]:
    """Yield what rows hold at some paths, in every form that a store may make of a key, and in how many places."""
    sorted_paths = sorted(paths)
    for start in range(0, len(sorted_paths) if columns else 0, PATHS_AT_ONCE):
        batch = sorted_paths[start : start + PATHS_AT_ONCE]
        queries = list[SelectBase]()
        for file_column in columns:
            assert isinstance(file_column.type, StoredObject), "only columns that hold files are asked"
            default = file_column.type.backend or file_column.type.registry.default_key
            queries.append(rows_holding(connection.dialect, file_column, default, batch, or_odd=True))
        rows = union_all(*queries).subquery()
        counted = select(rows.c.backend, rows.c.path, func.count()).group_by(rows.c.backend, rows.c.path)
        with _forgetting_tables(connection):
            found = connection.execute(counted).all()
        for backend, path, count in found:
            yield from (((backend, form), count) for form in {path_of({"path": path}), *forms_in_stores(path)})


def find_left_behind(
    session: Session, mapper: AnyMapper, before: Mapping[Identity, HeldFiles], after: Mapping[Identity, HeldFiles]
) -> Collection[Location]:
    """Return which files a table holds on to whose rows are found by a join alone, and have lost their other half."""
    unseen = [
        (attribute.column.table, files)
        for key, held in before.items()
        for attribute, files in held.items()
        if attribute not in after.get(key, {}) and not key_in(mapper, attribute.column.table)
    ]
    locations = {file.location for _, files in unseen for file in files}
    tables = {table for table, _ in unseen}
    return places_holding(writing_connection(session, mapper), tables, locations) if locations else ()


@contextmanager
def _forgetting_tables(connection: Connection) -> Iterator[None]:
    """Forget which tables a database has if the block fails: one, or a column, may be gone that was there."""
    try:
        yield
    except DBAPIError:
        _present.pop(connection.dialect, None)
        raise


# -- the tables ------------------------------------------------------------------------------------------


def tables_with_files(*metadatas: MetaData) -> list[Table]:
    """Return the tables with files of some metadata, then those of all mapped classes of this process.

    Several may describe one table of a database: what comes first knows best.
    """
    configure_mappers()  # this may be the first that a process does
    mapped = [table for mapper in file_mappers() for table in mapper.tables if isinstance(table, Table)]
    known = dict.fromkeys([*metadatas, *(table.metadata for table in mapped)])
    tables = [*(table for metadata in known for table in metadata.tables.values()), *mapped]
    return [table for table in dict.fromkeys(tables) if file_columns_of(table)]


Columns = dict[Place, frozenset[str]]
"""The names of the columns of each table that is there."""

_present: "WeakKeyDictionary[Dialect, Columns]" = WeakKeyDictionary()
"""The tables that databases were seen to have, by the dialect object, which engines that differ in options alone share.

What is missing, a table or a column for files, is looked for each time: a migration may make it.
"""


def ledgers_in(connection: Connection, tables: Iterable[Table]) -> list[Ledger]:
    """Return the ledgers beside some tables that a database has."""
    known = dict.fromkeys(ledger_of(table.metadata) for table in tables)
    ledgers = [ledger for ledger in known if ledger is not None]
    there = _look_up(connection, [ledger.table for ledger in ledgers])
    return [ledger for ledger in ledgers if there[ledger.table][1]]


def _file_columns(connection: Connection, tables: Iterable[Table]) -> list[AnyColumn]:
    """Return the file columns that a database has, each once, however many classes and views describe its table."""
    present: dict[Place, dict[str, AnyColumn]] = defaultdict(dict)
    with _forgetting_tables(connection):
        for table, (place, names) in _look_up(connection, tables).items():
            for file_column in table.columns:
                if isinstance(file_column.type, StoredObject) and file_column.name in names:
                    present[place].setdefault(file_column.name, file_column)
        # Which tables are views is asked each time: a migration may rename a table, and leave a view of its old name.
        views = views_among(connection, present) if present else {}
    found: dict[ColumnPlace, AnyColumn] = {}
    for place, files in present.items():
        if place not in views:
            found |= {(place[0], place[1], name): file_column for name, file_column in files.items()}
    for place, view in views.items():
        shown = present[place]
        behind = columns_behind(shown.values(), view.sources, found)
        if behind is not None:
            found |= behind
        elif view.is_readable:  # else a report for somebody else, of which this role can know nothing
            found |= {(place[0], place[1], name): file_column for name, file_column in shown.items()}
    return list(found.values())


def _look_up(connection: Connection, tables: Iterable[Table]) -> Mapping[Table, tuple[Place, frozenset[str]]]:
    """Return of some tables their places in a database, and the names of the columns that they have there."""
    present = _present.setdefault(connection.dialect, {})
    places = {table: (schema_in(connection, table), table.name) for table in tables}
    unknown = {
        place
        for table, place in places.items()
        if place not in present or not present[place].issuperset(file_columns_of(table))
    }
    if unknown:
        database, wanted = inspect(connection), defaultdict[str | None, set[str]](set)
        for schema, name in unknown:
            wanted[schema].add(name)
        schemas = set[str | None](database.get_schema_names()) if wanted.keys() - {None} else set()
        for schema, names in wanted.items():
            if schema is None or schema in schemas:
                there = names & names_in(database, schema)
                present.update({(schema, name): columns_in(database, schema, name, for_files=True) for name in there})
    return {table: (place, present.get(place, frozenset())) for table, place in places.items()}
