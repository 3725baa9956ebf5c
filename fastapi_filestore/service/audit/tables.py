"""Find the tables that hold files, and the databases that they are in."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, SelectBase, Table, inspect, select, union_all
from sqlalchemy.orm import configure_mappers

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object.record import path_of
from fastapi_filestore.orm.column.attributes import file_mappers
from fastapi_filestore.orm.column.tables import file_columns_of, is_in_database, schema_in
from fastapi_filestore.orm.holders.holders import condemn, find_behind_views
from fastapi_filestore.orm.ledger.ledger import Ledger, ledger_of
from fastapi_filestore.service.audit.findings import RowIdentity
from fastapi_filestore.service.audit.references import FileTable, ObjectLocation
from fastapi_filestore.service.contention import run_despite_others
from fastapi_filestore.storage.registry import StorageRegistry

Models = type | MetaData | Iterable[type | MetaData]
"""What an audit is given: a model, a metadata, or several."""


def models_in(models: Models) -> Iterable[type | MetaData]:
    """Return the models that were given: one, or several."""
    return [models] if isinstance(models, type | MetaData) else models


def metadata_of(model: type | MetaData) -> MetaData:
    """Return a metadata itself, or that of a model."""
    return model if isinstance(model, MetaData) else inspect(model).local_table.metadata


def name_of(table: FileTable) -> str:
    """Return the full name of a table."""
    return table.table.fullname


def file_tables(metadata: MetaData) -> list[Table]:
    """Return the tables of a metadata that hold files."""
    return [table for table in metadata.tables.values() if file_columns_of(table)]


def mapped_tables() -> dict[Table, str]:
    """Return the tables with files of all mapped classes of this process, each with the name of a class."""
    configure_mappers()  # this may be the first that a process does
    return {
        table: mapper.class_.__name__
        for mapper in file_mappers()
        for table in mapper.tables
        if isinstance(table, Table) and file_columns_of(table)
    }


@dataclass(frozen=True)
class Database:
    """One database: the tables in it that hold files, and the ledgers beside them."""

    engine: Engine
    tables: tuple[FileTable, ...]
    ledgers: tuple[Ledger, ...]

    def known(self, paths: Sequence[str], connection: Connection) -> set[ObjectLocation]:
        """Return the locations among `paths` that a row holds or a ledger knows of, as of one moment."""
        held = [statement for table in self.tables for statement in table.holding(connection, paths)]
        # One statement sees one state: a file that moves to another row, or into a deletion intent, is in either.
        found = _locations(connection, [*held, *self._intents(paths)])
        hidden = find_behind_views(connection, {table.table for table in self.tables}, set(paths))
        return found | {ObjectLocation(backend, path) for backend, path in hidden if backend is not None}

    def intended(self, paths: Sequence[str], connection: Connection) -> set[ObjectLocation]:
        """Return the locations among `paths` that a ledger knows of."""
        return _locations(connection, list(self._intents(paths)))

    def condemn(self, locations: Sequence[ObjectLocation], connection: Connection) -> set[ObjectLocation]:
        """Keep rows from taking some objects from now on; return those that one holds, or that a ledger knows of."""
        known = partial(self.known, [location.path for location in locations], connection)
        return condemn(connection, self.ledgers, locations, known)

    def release(self, locations: Sequence[ObjectLocation], connection: Connection) -> None:
        """Forget what was condemned: it is gone, or stays."""
        for ledger in self.ledgers:
            ledger.forget(connection, locations)

    def _intents(self, paths: Sequence[str]) -> Iterator[SelectBase]:
        for ledger in self.ledgers:
            backend, path = ledger.table.c.backend, ledger.table.c.path
            yield select(backend, path).where(path.in_(paths))


def database(
    engine: Engine, tables: Iterable[Table], *, asked: Collection[Table], registry: StorageRegistry
) -> Database:
    """Describe the tables that are in one database, those that are asked about and others, and their ledgers."""
    found = list[FileTable]()
    for table in tables:
        same = [other for other in found if (other.table.schema, other.table.name) == (table.schema, table.name)]
        covered = {column.name for other in same for column in other.columns}
        # Two bases may describe one table, each with other columns.
        described = FileTable.of(table, registry.default_key, leave_out=covered, is_asked=table in asked)
        if described.columns:
            found.append(described)
    ledgers = {ledger.table: ledger for other in found if (ledger := ledger_of(other.table.metadata)) is not None}
    return Database(engine, tuple(found), tuple(ledgers.values()))


@dataclass(frozen=True)
class Known:
    """The databases whose rows hold files, and the names of mapped classes or tables whose database nobody knows."""

    databases: tuple[Database, ...]
    unknown: tuple[str, ...] = ()

    def tables_of(self, row: RowIdentity) -> Iterator[tuple[Engine, FileTable]]:
        """Yield the tables where a row may be that holds a file: of one name, there is one in each database."""
        for database in self.databases:
            for table in database.tables:
                if table.table.fullname == row.table and any(column.key == row.column for column in table.columns):
                    yield database.engine, table


async def locate(
    places: Mapping[Engine, Collection[Table]],
    metadatas: Collection[MetaData],
    *,
    registry: StorageRegistry,
    nowhere: Iterable[Table] = (),
) -> Known:
    """Look for tables in the databases where they may be.

    Args:
        places: Databases, each with the tables that may be there.
        metadatas: What is asked about; tables of others only hold files as well.
        registry: Where backends are looked up.
        nowhere: Tables that no database is known for.

    Raises:
        ConfigurationError: A metadata has tables with files, and none of them is anywhere.
    """
    databases, missing = list[Database](), dict.fromkeys(nowhere)
    missing.update(dict.fromkeys(table for tables in places.values() for table in tables))
    for engine, tables in places.items():

        def present(connection: Connection, tables: Collection[Table] = tables) -> list[Table]:
            inspector = inspect(connection)
            return [table for table in tables if is_in_database(inspector, table)]

        here = await run_despite_others(engine, present)
        asked = [table for table in here if table.metadata in metadatas]
        databases.append(await _describe(engine, here, asked, registry))
        for table in here:
            missing.pop(table, None)
    for metadata in metadatas:
        wanted = file_tables(metadata)
        if wanted and all(table in missing for table in wanted):
            raise ConfigurationError(
                f"The database has no table {wanted[0].fullname!r} with its file columns: create or migrate it, or "
                "give the engine of the database where it is."
            )
    names = mapped_tables()
    unknown = (f"{names[table]} ({table.fullname})" if table in names else table.fullname for table in missing)
    return Known(tuple(databases), tuple(sorted(unknown)))


async def _describe(
    engine: Engine, tables: Collection[Table], asked: Collection[Table], registry: StorageRegistry
) -> Database:
    found = database(engine, tables, asked=asked, registry=registry)

    def with_ledgers(connection: Connection) -> Database:
        inspector = inspect(connection)
        present = [
            ledger
            for ledger in found.ledgers
            if inspector.has_table(ledger.table.name, schema=schema_in(inspector.bind, ledger.table))
        ]
        return replace(found, ledgers=tuple(present))

    return await run_despite_others(engine, with_ledgers)


def _locations(connection: Connection, statements: Sequence[SelectBase]) -> set[ObjectLocation]:
    if not statements:
        return set()
    rows: Sequence[Any] = connection.execute(union_all(*statements)).all()
    return {ObjectLocation(backend, path_of({"path": path})) for backend, path in rows}
