"""Find the triggers that a database has, and put there those that it lacks."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sqlalchemy import Connection, MetaData, Table, inspect, text

from fastapi_filestore.orm.triggers import create_triggers, drop_triggers, postgresql, sqlite
from fastapi_filestore.orm.triggers.description import (
    MARK,
    FileTriggers,
    qualified,
    read_mark,
    translate_schemas,
    triggers_of,
)

Place: TypeAlias = tuple[str | None, str]
"""Schema and name of a table; None for the default schema."""

COMPLETE = {"postgresql": len(postgresql.PURPOSES), "sqlite": len(sqlite.PURPOSES)}
"""The number of triggers that a table has where there are triggers."""

_ON_POSTGRESQL = """
SELECT namespace.nspname, class.relname, proc.prosrc, (trig.tgtype & 4) <> 0, ARRAY(
  SELECT attribute.attname::text FROM pg_catalog.pg_depend AS named JOIN pg_catalog.pg_attribute AS attribute
    ON attribute.attrelid = named.refobjid AND attribute.attnum = named.refobjsubid
  WHERE named.classid = 'pg_catalog.pg_trigger'::regclass AND named.objid = trig.oid
    AND named.refclassid = 'pg_catalog.pg_class'::regclass AND named.refobjid = trig.tgrelid AND named.refobjsubid > 0)
FROM pg_catalog.pg_trigger AS trig
JOIN pg_catalog.pg_class AS class ON class.oid = trig.tgrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_catalog.pg_proc AS proc ON proc.oid = trig.tgfoid
WHERE NOT trig.tgisinternal AND trig.tgparentid = 0 AND trig.tgenabled <> 'D' AND strpos(proc.prosrc, :mark) > 0
"""
_ON_SQLITE = "SELECT tbl_name, sql FROM {master} WHERE type = 'trigger' AND instr(sql, :mark) > 0"

_WATCHED = re.compile(r'\b(?:OLD|NEW)\.("(?:[^"]|"")+"|\w+) IS NOT NULL')
"""A column in the condition of a trigger on SQLite, which rewrites it when the column is renamed."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One trigger of ours in a database.

    Attributes:
        text: Where its mark is.
        columns: The columns that its condition names now.
        is_of_new_rows: Whether it is the one for new rows, whose condition names file columns alone.
    """

    text: str
    columns: Sequence[str]
    is_of_new_rows: bool


def find_installed_triggers(
    connection: Connection, *, schemas: Collection[str | None] = (None,)
) -> dict[Place, FileTriggers]:
    """Return the triggers of ours that are complete, of the version that is made now, and not switched off.

    Columns are called what they are called now. On SQLite, `schemas` are the attached files to look into.
    """
    found: dict[Place, list[Installed]] = defaultdict(list)
    dialect = connection.dialect
    if dialect.name == "postgresql":
        for schema, table, source, is_of_new_rows, columns in connection.execute(text(_ON_POSTGRESQL), {"mark": MARK}):
            place = None if schema == dialect.default_schema_name else schema, table
            found[place].append(Installed(source, columns, is_of_new_rows))
    for schema in schemas if dialect.name == "sqlite" else ():
        master = qualified(dialect.identifier_preparer, "sqlite_master", schema)
        for table, sql in connection.execute(text(_ON_SQLITE.format(master=master)), {"mark": MARK}):
            condition = sql.partition(MARK)[0]
            names = _WATCHED.findall(condition)
            columns = [name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names]
            found[schema, table].append(Installed(sql, columns, is_of_new_rows="AFTER INSERT" in condition))
    described = dict[Place, FileTriggers]()
    for (schema, table), parts in found.items():
        marked = read_mark(table, schema, parts[0].text)
        if marked is None or len(parts) != COMPLETE[dialect.name]:
            continue
        files = [name for part in parts if part.is_of_new_rows for name in part.columns]
        # On SQLite no condition names the primary key, for nothing there looks a row up.
        key = {name for part in parts for name in part.columns} - set(files)
        columns = {name: marked.columns.get(name, False) for name in files}
        described[schema, table] = replace(marked, columns=columns, key=sorted(key))
    return described


def is_same(found: FileTriggers | None, wanted: FileTriggers | None, dialect: str) -> bool:
    """Tell whether the triggers found do what those wanted would."""
    if found is None or wanted is None:
        return found is wanted
    same_key = dialect == "sqlite" or set(found.key) == set(wanted.key)
    return same_key and found.columns.keys() == wanted.columns.keys() and found.ledger == wanted.ledger


def find_lacking_triggers(connection: Connection, tables: Iterable[Table]) -> list[FileTriggers]:
    """Return the triggers that tables are to have and that the database lacks; a table that is not there lacks none."""
    wanted = [
        translate_schemas(triggers, connection) for table in tables if (triggers := triggers_of(table)) is not None
    ]
    installed = find_installed_triggers(connection, schemas={triggers.schema for triggers in wanted})
    default, dialect = connection.dialect.default_schema_name, connection.dialect.name
    lacking = list[FileTriggers]()
    for triggers in wanted:
        place = None if triggers.schema == default else triggers.schema, triggers.table
        if not is_same(installed.get(place), triggers, dialect):
            lacking.append(triggers)
    schemas = {triggers.schema for triggers in lacking}
    there = {schema: set(inspect(connection).get_table_names(schema)) for schema in schemas}
    return [triggers for triggers in lacking if triggers.table in there[triggers.schema]]


def install_triggers(connection: Connection, metadata: MetaData) -> list[str]:
    """Give the tables of a metadata that are in a database the triggers that they lack, and return their names.

    `create_all` makes triggers only with the tables that it makes itself. It is fine to call this again and again;
    commit afterwards. With an asynchronous engine: `await connection.run_sync(install_triggers, Base.metadata)`.
    """
    lacking = find_lacking_triggers(connection, metadata.sorted_tables)
    for triggers in lacking:
        for statement in drop_triggers(triggers, connection.dialect, connection):
            connection.execute(statement)
        for statement in create_triggers(triggers, connection.dialect, connection):
            connection.execute(statement)
    return [triggers.table for triggers in lacking]
