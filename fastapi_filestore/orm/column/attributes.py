"""Find the attributes of a model that hold files, and the files that the database has in them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias
from weakref import WeakSet

from sqlalchemy import (
    Column,
    FromClause,
    Table,
    inspect,
)
from sqlalchemy.orm import Session, configure_mappers

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.row_values import values_of
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.column.table_rows import (
    in_order_of_locks,
    is_written,
    key_in,
    locked_rows,
    self_and_heirs,
    table_identity,
    tables_in_order,
    way_to,
)
from fastapi_filestore.orm.column.tables import columns_in, file_columns_of, schema_in
from fastapi_filestore.orm.ledger.ledger import ledger_of
from fastapi_filestore.orm.mapped_types import AnyColumn, AnyMapper, Identity
from fastapi_filestore.orm.sessions import writing_bind, writing_connection


@dataclass(frozen=True, slots=True)
class FileAttribute:
    """An attribute of a mapped class whose column is a `StoredObject`."""

    name: str
    column: AnyColumn
    type: StoredObject

    def files(self, row: object) -> list[FileObject]:
        """Return the files that the attribute holds in memory."""
        return self.type.files(getattr(row, self.name), of=lambda: values_of(row), field=self.name)

    def held_files(self, row: object) -> list[FileObject]:
        """Return those of the files that the attribute holds whose bytes a store may hold."""
        return self.type.held_files(getattr(row, self.name))


@cache
def file_attributes(mapper: AnyMapper) -> tuple[FileAttribute, ...]:
    """Return the attributes of a mapped class that hold files, inherited ones included."""
    # An expression, such as a subquery for the newest file of another table, shows what that table's rows hold.
    columns = [(prop.key, column) for prop in mapper.column_attrs if isinstance(column := prop.columns[0], Column)]
    return tuple(
        FileAttribute(key, column, column.type)
        for key, column in columns
        if isinstance(column.type, StoredObject) and column.table in mapper.tables
    )


@cache
def file_attributes_below(mapper: AnyMapper) -> tuple[FileAttribute, ...]:
    """Return those of a mapped class and of all that inherit from it, whose rows are rows of its own, too."""
    found = {attribute.column: attribute for heir in self_and_heirs(mapper) for attribute in file_attributes(heir)}
    return tuple(found.values())


def file_attribute(model: type, name: str | None = None) -> FileAttribute:
    """Return one attribute of a model: the named one, or the only one.

    Raises:
        ConfigurationError: There is none, or several and none is named.
    """
    known = {attribute.name: attribute for attribute in file_attributes(inspect(model))}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if not known:
        raise ConfigurationError(f"{model.__name__} has no file column: map one as `mapped_column(StoredObject())`.")
    if name not in known:
        wanted = "say which file column is meant, with field=" if name is None else f"it has no file column {name!r}"
        raise ConfigurationError(f"{model.__name__}: {wanted} (its file columns: {', '.join(known)}).")
    return known[name]


@cache
def file_columns(mapper: AnyMapper) -> tuple[FileAttribute, ...]:
    """Return the file columns of a class's tables, of all that inherit from it as well, whether it maps them or not.

    A class may map some of its table's columns only, and a row may be loaded as the class that others inherit from.
    """
    found = {attribute.column: attribute for attribute in file_attributes_below(mapper)}
    for heir in self_and_heirs(mapper):
        for table in heir.tables:
            if isinstance(table, Table) and is_written(heir, table):
                for attribute in _attributes_of_table(table):
                    found.setdefault(attribute.column, attribute)
    return tuple(found.values())


def _attributes_of_table(table: Table) -> list[FileAttribute]:
    """Return the file columns of a table, by their own names."""
    return [
        FileAttribute(column.key, column, column.type)
        for column in table.columns
        if isinstance(column.type, StoredObject)
    ]


@cache
def _namesakes(mapper: AnyMapper) -> tuple[Table, ...]:
    """Return the descriptions with file columns that other classes have of tables which this one describes without."""
    bare = {table_identity(table) for table in mapper.tables if isinstance(table, Table) and not file_columns_of(table)}
    others = {table for other in _mappers for table in other.tables if isinstance(table, Table)}
    return tuple(table for table in others if file_columns_of(table) and table_identity(table) in bare)


def has_file_columns(mapper: AnyMapper) -> bool:
    """Tell whether rows of a class may hold files, in columns that it maps, or does not even know of."""
    return bool(file_columns(mapper) or _namesakes(mapper))


def keeper_of(session: Session, mapper: AnyMapper) -> AnyMapper:
    """Return the class whose ledger knows of the files of rows: their own, or another that describes their table."""
    if not (namesakes := _namesakes(mapper)):
        return mapper
    bind, database = writing_bind(session, mapper), inspect(writing_connection(session, mapper))
    for table in namesakes:
        keeper, ledger = mapper_of_table(table), ledger_of(table.metadata)
        if keeper is None or ledger is None or writing_bind(session, keeper) is not bind:
            continue
        # The class with the ledger may describe a table of the same name in another database.
        there = columns_in(database, schema_in(database.bind, table), table.name)
        has_ledger = database.has_table(ledger.table.name, schema=schema_in(database.bind, ledger.table))
        if has_ledger and {column.name for column in table.columns} <= there:
            return keeper
    return mapper


def columns_in_database(session: Session, mapper: AnyMapper) -> Sequence[FileAttribute]:
    """Return the file columns that rows of a class have in the database, whether the class knows of them or not."""
    if not (namesakes := _namesakes(mapper)):
        return file_columns(mapper)
    database = inspect(writing_connection(session, mapper))
    found: dict[tuple[str | None, str, str], FileAttribute] = {}
    for table in namesakes:
        there = columns_in(database, schema_in(database.bind, table), table.name)
        for attribute in _attributes_of_table(table):
            if attribute.column.name in there:
                found.setdefault((table.schema, table.name, attribute.column.name), attribute)
    return [*file_columns(mapper), *found.values()]


def list_attribute(model: type, name: str | None = None) -> FileAttribute:
    """Return one attribute of a model that holds a list of files: the named one, or the only one.

    Raises:
        ConfigurationError: There is none, or several and none is named, or the named one holds one file.
    """
    lists = [attribute.name for attribute in file_attributes(inspect(model)) if attribute.type.multiple]
    attribute = file_attribute(model, lists[0] if name is None and len(lists) == 1 else name)
    if not attribute.type.multiple:
        raise ConfigurationError(
            f"{model.__name__}.{attribute.name} holds one file: replace it, or make it a list with multiple=True."
        )
    return attribute


_mappers: WeakSet[AnyMapper] = WeakSet()


def note_mapper(mapper: AnyMapper) -> None:
    """Remember a mapped class that holds files, which may inherit from one that was looked at before."""
    _mappers.add(mapper)
    for known in (file_attributes_below, file_columns, _namesakes, key_in, tables_in_order, way_to):
        known.cache_clear()


def file_mappers() -> list[AnyMapper]:
    """Return the mapped classes of this process that hold files."""
    return list(_mappers)


def mapper_of_table(table: object) -> AnyMapper | None:
    """Return the class whose rows are in a table, the first one of those that share it; None if no file is there."""
    configure_mappers()  # this may be the first that a process does
    mapper = next((mapper for mapper in _mappers if mapper.local_table is table), None)
    while mapper is not None and mapper.inherits is not None and mapper.inherits.local_table is table:
        mapper = mapper.inherits
    return mapper


HeldFiles: TypeAlias = dict[FileAttribute, list[FileObject]]
"""The files of a row, by attribute: two classes that inherit from one may give two columns the same name."""


def stored_files(
    session: Session, mapper: AnyMapper, identities: Sequence[Identity], attributes: Iterable[FileAttribute]
) -> dict[Identity, HeldFiles]:
    """Return, by primary key, the files that rows hold in the database now, and lock the rows.

    What a session has in memory may be stale, expired or never loaded; what is replaced is what the database says. A
    row of a class that inherits has rows in several tables, and may have lost one of them: each is asked.
    """
    by_table: dict[FromClause, list[FileAttribute]] = defaultdict(list)
    for attribute in attributes:
        by_table[attribute.column.table].append(attribute)
    found: dict[Identity, HeldFiles] = defaultdict(dict)
    is_alone = mapper.inherits is None and by_table.keys() <= {mapper.local_table}
    for table in by_table if is_alone else in_order_of_locks(session, mapper, by_table):
        columns = by_table.get(table, [])
        for identity, values in locked_rows(session, mapper, table, [item.column for item in columns], identities):
            if columns:
                found[identity] |= {
                    column: column.type.held_files(value) for column, value in zip(columns, values, strict=True)
                }
    return dict(found)


def locked_values(session: Session, mapper: AnyMapper, identity: Identity, attribute: FileAttribute) -> list[object]:
    """Lock a row and return the one value that it has in the database now; none if the row is gone."""
    *above, last = in_order_of_locks(session, mapper, [attribute.column.table])
    for table in above:
        list(locked_rows(session, mapper, table, [], [identity]))
    return [value for _, (value,) in locked_rows(session, mapper, last, [attribute.column], [identity])]
