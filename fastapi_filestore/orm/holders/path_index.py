"""Make the index of `StoredObject(index=True)`, which tells the rows that hold an object, with its table."""

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Column, Connection, Index, Table, event, text
from sqlalchemy.engine.mock import MockConnection

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.holders.held_paths import file_path
from fastapi_filestore.orm.mapped_types import AnyColumn
from fastapi_filestore.orm.triggers.description import LONGEST_NAME

PREFIX, SUFFIX = "filestore_", "_path"
"""The beginning and the end of the names of these indexes."""
EXPRESSION = "CASE WHEN json_valid("
"""The beginning of the expression of one on SQLite."""


def name_of_index(table: str, column: str) -> str:
    """Return the name of the index of a column."""
    name = f"{PREFIX}{table}_{column}{SUFFIX}"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    return f"{PREFIX}{sha256(f'{table}.{column}'.encode()).hexdigest()[:16]}{SUFFIX}"


def path_indexes(table: Table) -> list[Index]:
    """Return the indexes of ours that a table is to have."""
    names = {name_of_index(table.name, column.name) for column in table.columns if _is_indexed(column)}
    return [index for index in table.indexes if index.name in names]


@dataclass(frozen=True, slots=True)
class SQLiteIndex:
    """An index of ours as a database of SQLite has it: its table, and the text of its expression."""

    table: str
    expression: str


def path_indexes_on_sqlite(connection: Connection, schema: str | None = None) -> dict[str, SQLiteIndex]:
    """Return the indexes of ours in a database of SQLite by name; SQLAlchemy reflects none of an expression."""
    master = f"{connection.dialect.identifier_preparer.quote(schema)}.sqlite_master" if schema else "sqlite_master"
    query = text(f"SELECT name, tbl_name, sql FROM {master} WHERE type = 'index' AND sql IS NOT NULL")  # noqa: S608
    return {
        name: SQLiteIndex(table, sql[sql.index(EXPRESSION) : -1])
        for name, table, sql in connection.execute(query)
        if name.startswith(PREFIX) and name.endswith(SUFFIX) and EXPRESSION in sql
    }


def _is_indexed(column: AnyColumn) -> bool:
    return isinstance(column.type, StoredObject) and column.type.index


@event.listens_for(Column, "after_parent_attach")
def _index_with_column(column: AnyColumn, table: object) -> None:
    if not (isinstance(table, Table) and isinstance(column.type, StoredObject) and column.type.index):
        return
    name = name_of_index(table.name, column.name)
    if column.type.multiple:
        Index(name, column, postgresql_using="gin", postgresql_ops={column.key: "jsonb_path_ops"})
    else:
        Index(name, file_path(column))


@event.listens_for(Index, "after_parent_attach")
def _replace_copy(index: Index, table: object) -> None:
    # A table that is copied to other metadata gets its indexes twice: with its columns, and as a copy of each.
    if isinstance(table, Table) and str(index.name).startswith(PREFIX):
        for other in [other for other in table.indexes if other is not index and other.name == index.name]:
            table.indexes.discard(other)


@event.listens_for(Table, "before_create")
def refuse_lists(table: Table, connection: Connection | MockConnection, **options: object) -> None:
    """Raise `ConfigurationError` if a table is to have an index that its database has not."""
    for column in filter(_is_indexed, table.columns):
        is_list = isinstance(column.type, StoredObject) and column.type.multiple
        if connection.dialect.name == "postgresql" or (connection.dialect.name == "sqlite" and not is_list):
            continue
        what = "a list of files" if is_list else "a file"
        raise ConfigurationError(
            f"{column} holds {what}, which {connection.dialect.name} has no index for: leave index=True out, so that "
            "its table is read where somebody asks which rows hold a file."
        )
