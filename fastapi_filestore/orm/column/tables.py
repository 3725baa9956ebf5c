"""Tell whether a database has a table as it is described."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import (
    ARRAY,
    Boolean,
    Connection,
    Date,
    DateTime,
    Engine,
    Inspector,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    Table,
    Time,
    Uuid,
    inspect,
)
from sqlalchemy.dialects.postgresql.base import PGInspector
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import OperationalError

from fastapi_filestore.orm.column.stored_object import StoredObject


def file_columns_of(table: Table) -> list[str]:
    """Return the names of a table's columns that hold files."""
    return [column.name for column in table.columns if isinstance(column.type, StoredObject)]


def is_in_database(database: Inspector, table: Table) -> bool:
    """Tell whether a table, or a view that is read as one, is in a database with all of its file columns."""
    return what_lacks(database, table, file_columns_of(table)) is None


def what_lacks(database: Inspector, table: Table, columns: Iterable[str]) -> str | None:
    """Return the name of a table that is not in a database, with those of some columns that it lacks if it is there.

    None if nothing is missing. A view that is read as a table is one.
    """
    schema = schema_in(database.bind, table)
    if not database.has_table(table.name, schema=schema):
        return table.fullname
    there = {column["name"] for column in database.get_columns(table.name, schema=schema)}
    lacking = ", ".join(sorted(set(columns) - there))
    return f"{table.fullname} (column {lacking})" if lacking else None


def lacks_of(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Return the names of tables that are not in a database, and of those that are there without some of their columns.

    Each schema is asked for once, however many tables it has.
    """
    inspector, by_schema = inspect(connection), defaultdict[str | None, list[Table]](list)
    for table in tables:
        by_schema[schema_in(connection, table)].append(table)
    lacking = set[str]()
    for schema, wanted in by_schema.items():
        names = [table.name for table in wanted]
        there = inspector.get_multi_columns(schema=schema, filter_names=names, kind=ObjectKind.ANY)
        columns = {name: {column["name"] for column in found} for (_, name), found in there.items()}
        for table in wanted:
            if table.name not in columns:
                lacking.add(table.fullname)
                continue
            own = {column.name for column in table.columns if not column.system}
            if lost := ", ".join(sorted(own - columns[table.name])):
                lacking.add(f"{table.fullname} (column {lost})")
    return sorted(lacking)


def names_in(database: Inspector, schema: str | None) -> set[str]:
    """Return the names of what can be read in a schema, tables or not; but for views of other databases."""
    names = set(database.get_table_names(schema=schema))
    if database.dialect.name in {"postgresql", "sqlite"}:
        names.update(database.get_view_names(schema=schema))
    if isinstance(database, PGInspector):
        names.update(database.get_materialized_view_names(schema=schema))
        names.update(database.get_foreign_table_names(schema=schema))
    return names


WITHOUT_FILES: Final = (ARRAY, Boolean, Date, DateTime, Interval, LargeBinary, Numeric, Time, Uuid, Integer)
"""Types of columns of PostgreSQL that no JSON is kept in."""


def columns_in(database: Inspector, schema: str | None, name: str, *, for_files: bool = False) -> frozenset[str]:
    """Return the names of the columns of a table or a view; none if SQLite can't read the view, whose table is gone.

    With `for_files`, those that can hold files: a class of another database may call a table by the same name, and have
    files where this one has numbers, which PostgreSQL can't read as JSON.
    """
    excluded = WITHOUT_FILES if for_files and isinstance(database, PGInspector) else ()
    try:
        columns = database.get_columns(name, schema=schema)
        return frozenset(column["name"] for column in columns if not isinstance(column["type"], excluded))
    except OperationalError:
        if database.dialect.name != "sqlite" or name in database.get_table_names(schema=schema):
            raise
        return frozenset()


def schema_in(bind: Engine | Connection, table: Table) -> str | None:
    """Return the schema that a table has in a database, which its `schema_translate_map` may have another name for."""
    return _schema_names(bind).get(table.schema, table.schema)


def is_translated(engine: Engine) -> bool:
    """Tell whether an engine has another name for a schema."""
    return bool(_schema_names(engine))


def _schema_names(bind: Engine | Connection) -> Mapping[str | None, str | None]:
    return bind.get_execution_options().get("schema_translate_map") or {}
