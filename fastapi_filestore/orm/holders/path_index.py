"""`StoredObject(index=True)`: an index that tells which rows hold an object, made with the table that it is of."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Column, Connection, Index, Table, event, text
from sqlalchemy.engine.mock import MockConnection

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.holders.held_paths import file_path
from fastapi_filestore.orm.triggers.description import LONGEST_NAME

PREFIX, SUFFIX = "filestore_", "_path"
"""What the names of these indexes begin and end with."""
EXPRESSION = "CASE WHEN json_valid("
"""How the expression of one begins on SQLite."""


def name_of_index(table: str, column: str) -> str:
    """Return the name of the index of a column."""
    name = f"{PREFIX}{table}_{column}{SUFFIX}"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    return f"{PREFIX}{sha256(f'{table}.{column}'.encode()).hexdigest()[:16]}{SUFFIX}"


def path_indexes(table: Table) -> list[Index]:
    """Return the indexes of ours that a table is to have."""
    names = {name_of_index(table.name, one.name) for one in table.columns if _is_indexed(one)}
    return [index for index in table.indexes if index.name in names]


def watch_columns() -> None:
    """Make the indexes of columns from now on, as they come into tables."""
    event.listen(Column, "after_parent_attach", _index_with_column)
    event.listen(Index, "after_parent_attach", _take_the_place)
    event.listen(Table, "before_create", refuse_lists)


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


def _is_indexed(one: Column[Any]) -> bool:
    return isinstance(one.type, StoredObject) and one.type.index


def _index_with_column(column: Column[Any], table: Any) -> None:
    if not (isinstance(table, Table) and isinstance(column.type, StoredObject) and column.type.index):
        return
    name = name_of_index(table.name, column.name)
    if column.type.multiple:
        Index(name, column, postgresql_using="gin", postgresql_ops={column.key: "jsonb_path_ops"})
    else:
        Index(name, file_path(column))


def _take_the_place(index: Index, table: Any) -> None:
    # A table that is copied to other metadata gets its indexes twice: with its columns, and as a copy of each.
    if isinstance(table, Table) and str(index.name).startswith(PREFIX):
        for other in [other for other in table.indexes if other is not index and other.name == index.name]:
            table.indexes.discard(other)


def refuse_lists(table: Table, connection: Connection | MockConnection, **options: Any) -> None:
    """Raise `ConfigurationError` if a table is to have an index that its database has not."""
    if connection.dialect.name in {"postgresql", "sqlite"}:
        refused = [one for one in table.columns if _is_list(one) and connection.dialect.name == "sqlite"]
    else:
        refused = list(table.columns)
    for one in filter(_is_indexed, refused):
        what = "a list of files" if _is_list(one) else "a file"
        raise ConfigurationError(
            f"{one} holds {what}, which {connection.dialect.name} has no index for: leave index=True out, so that its "
            "table is read where somebody asks which rows hold a file."
        )


def _is_list(one: Column[Any]) -> bool:
    return isinstance(one.type, StoredObject) and one.type.multiple
