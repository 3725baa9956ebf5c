"""Write the triggers for SQLite.

They fire for each row, also for rows that a foreign key's action deletes. `INSERT OR REPLACE` fires no delete trigger
unless `PRAGMA recursive_triggers` is on; an upsert (`ON CONFLICT DO UPDATE`) fires like any update. Raw SQL that moves
a file to another row before it takes it out of the first leaves an intent behind, for there is no trigger that waits
for the commit: the sweeper asks the rows before it believes an intent here.
"""

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Connection, text
from sqlalchemy.sql.compiler import IdentifierPreparer

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.ledger.clock import SQLITE_CLOCK
from fastapi_filestore.orm.triggers.description import MARK, FileTriggers, qualified

PURPOSES = {"delete": "OLD.{0} IS NOT NULL", "update": "OLD.{0} IS NOT NEW.{0}", "insert": "NEW.{0} IS NOT NULL"}
"""The event of each trigger, and its condition for one column."""

READABLE = (
    "CASE odd.type WHEN 'object' THEN coalesce(\n"
    "      coalesce(json_type(odd.value, '$.backend'), 'null') IN ('null', 'text')\n"
    "      AND coalesce(json_type(odd.value, '$.path'), 'null') IN ('null', 'text')\n"
    "      AND (json_extract(odd.value, '$.path') <> ''\n"
    "        OR json_type(odd.value, '$.filename') = 'text' AND json_extract(odd.value, '$.filename') <> ''), 0)\n"
    "      ELSE 0 END"
)
"""Holds for an object in JSON that says where its file is: `file_object.record` reads no other, either."""


def create(triggers: FileTriggers, preparer: IdentifierPreparer, connection: Connection | None) -> Iterator[str]:
    """Yield the statements that create a table's triggers: an intent of what leaves a row, none of what comes to it.

    Their names are those of no other table in the database: one that is renamed keeps its triggers'.
    """
    if triggers.schema != triggers.ledger.schema:
        raise ConfigurationError(
            f"On SQLite a trigger of {triggers.table!r} can't write to a ledger in another database file: give "
            "add_ledger the schema of its tables."
        )
    if connection is not None:
        taken = {name.lower() for name, _, _ in _triggers_in(connection, triggers.schema)}
        endings = ("", *(f"_{number}" for number in range(2, len(taken) + 3)))
        named = (replace(triggers, ending=ending) for ending in endings)
        triggers = next(free for free in named if not taken & {free.name(purpose).lower() for purpose in PURPOSES})
    table, ledger = preparer.quote(triggers.table), preparer.quote(triggers.ledger.name)
    old, new = (_files_of(triggers, preparer, row) for row in ("OLD", "NEW"))
    # Not OR IGNORE: the statement that fires the trigger would have its own conflict clause used instead.
    intend = (
        f"INSERT INTO {ledger} (backend, path, kind, due_at, attempts)\n"
        f"  SELECT backend, path, 'delete', {SQLITE_CLOCK} + {triggers.ledger.grace}, 0\n  FROM ("
    )
    unknown = (
        f") AS lost WHERE NOT EXISTS (SELECT 1 FROM {ledger} AS known\n"
        "    WHERE known.backend = lost.backend AND known.path = lost.path);"
    )
    take_back = (
        "SELECT RAISE(ABORT, 'fastapi_filestore: a file of this row is being deleted')\n"
        f"  FROM {ledger} WHERE kind <> 'upload' AND attempts > 0 AND (backend, path) IN ({new});\n"
        f"DELETE FROM {ledger} WHERE kind = 'delete' AND attempts = 0 AND (backend, path) IN ({new});"
    )
    bodies = {
        "delete": f"{intend}{old}{unknown}",
        "update": f"{intend}{old}\n  EXCEPT {new}{unknown}\n{take_back}",
        "insert": take_back,
    }
    for purpose, pattern in PURPOSES.items():
        condition = " OR ".join(pattern.format(preparer.quote(column)) for column in triggers.columns)
        yield (
            f"CREATE TRIGGER {qualified(preparer, triggers.name(purpose), triggers.schema)}\n"
            f"AFTER {purpose.upper()} ON {table} WHEN {condition}\n"
            f"BEGIN\n{triggers.mark}\n{bodies[purpose]}\nEND"
        )


def drop(triggers: FileTriggers, preparer: IdentifierPreparer, connection: Connection | None) -> Iterator[str]:
    """Yield the statements that drop what a table has of them, or without a connection those that it is given."""
    if connection is None:
        for purpose in PURPOSES:
            yield f"DROP TRIGGER IF EXISTS {qualified(preparer, triggers.name(purpose), triggers.schema)}"
        return
    for name, table, is_ours in _triggers_in(connection, triggers.schema):
        if is_ours and table.lower() == triggers.table.lower():
            yield f"DROP TRIGGER {qualified(preparer, name, triggers.schema)}"


def _triggers_in(connection: Connection, schema: str | None) -> list[tuple[str, str, bool]]:
    """Return the triggers of a database file: the name of each, its table's, and whether it is one of ours."""
    master = qualified(connection.dialect.identifier_preparer, "sqlite_master", schema)
    query = text(f"SELECT name, tbl_name, instr(sql, :mark) > 0 FROM {master} WHERE type = 'trigger'")
    return [(name, table, bool(is_ours)) for name, table, is_ours in connection.execute(query, {"mark": MARK})]


def _files_of(triggers: FileTriggers, preparer: IdentifierPreparer, row: str) -> str:
    """Return a query for the backend and path of each file that a row holds, distinct; bad JSON holds none."""
    elements = list[str]()
    for value in (f"{row}.{preparer.quote(column)}" for column in triggers.columns):
        # A column may hold one file or a list of them; one that can't be read is not believed in any.
        files = (
            f"json_each(CASE WHEN json_valid({value}) THEN\n"
            f"      CASE json_type({value}) WHEN 'array' THEN {value} ELSE json_array(json({value})) END END)"
        )
        elements.append(
            f"SELECT value AS file FROM {files}\n"
            f"      WHERE NOT EXISTS (SELECT 1 FROM {files} AS odd WHERE NOT {READABLE})"
        )
    union = "\n    UNION ALL ".join(elements)
    return (
        f"SELECT DISTINCT backend, coalesce(nullif({_WITHOUT_SLASHES}, ''), path) AS path FROM (\n"
        "    SELECT json_extract(file, '$.backend') AS backend,\n"
        "      coalesce(nullif(json_extract(file, '$.path'), ''), json_extract(file, '$.filename')) AS path\n"
        f"    FROM ({union})) WHERE backend IS NOT NULL AND path IS NOT NULL"
    )


_WITHOUT_SLASHES = (
    "substr(path, 1 + (substr(path, 1, 1) = '/'),"
    " length(path) - (substr(path, 1, 1) = '/') - (length(path) > 1 AND substr(path, -1) = '/'))"
)
"""The path as stores have it: they drop a slash at the beginning and at the end that advanced-alchemy's rows keep."""
