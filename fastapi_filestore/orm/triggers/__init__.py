"""Let the database write, by triggers, a deletion intent for every object that leaves a row, whoever takes it out.

The unit of work writes the intents of what a session does. Raw SQL, ON DELETE CASCADE, TRUNCATE and other programs
pass it by; `add_ledger(metadata, triggers=True)` lets the database write theirs. An object that comes back to a row in
the same transaction is spared.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from sqlalchemy import Connection, Dialect, Table, event
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import IdentifierPreparer, SQLCompiler

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.triggers import postgresql, sqlite
from fastapi_filestore.orm.triggers.description import FileTriggers, translate_schemas, triggers_of

_Writers: TypeAlias = Mapping[str, Callable[[FileTriggers, IdentifierPreparer, Connection | None], Iterator[str]]]
"""Functions that yield the statements about triggers, by the name of the dialect."""


class TriggerStatement(ExecutableDDLElement):
    """One statement of a table's triggers, in one database's words."""

    def __init__(self, sql: str) -> None:
        self.sql = sql


@compiles(TriggerStatement)
def _compile_as_is(element: TriggerStatement, compiler: SQLCompiler, **options: object) -> str:
    return element.sql


def create_triggers(
    triggers: FileTriggers, dialect: Dialect, connection: Connection | None = None
) -> list[TriggerStatement]:
    """Return the statements that create the triggers of a table that has none.

    On SQLite the connection is asked for the names that are free: a table that was renamed keeps those of its triggers.
    """
    return _statements({"postgresql": postgresql.create, "sqlite": sqlite.create}, triggers, dialect, connection)


def drop_triggers(
    triggers: FileTriggers, dialect: Dialect, connection: Connection | None = None
) -> list[TriggerStatement]:
    """Return the statements that drop the triggers of a table that lives on; it is fine if it has none.

    On SQLite the connection is asked for their names; without one they have those that they are made with.
    """
    return _statements({"postgresql": postgresql.drop, "sqlite": sqlite.drop}, triggers, dialect, connection)


def _statements(
    writers: _Writers, triggers: FileTriggers, dialect: Dialect, connection: Connection | None
) -> list[TriggerStatement]:
    if dialect.name not in writers:
        raise ConfigurationError(
            f"There are no triggers for {dialect.name}: leave triggers=True out of add_ledger, and let audit() find "
            "what raw SQL leaves behind."
        )
    texts = writers[dialect.name](triggers, dialect.identifier_preparer, connection)
    return [TriggerStatement(text) for text in texts]


# -- with the tables -----------------------------------------------------------------------------------


@event.listens_for(Table, "after_create")
def _create_with_table(table: Table, connection: Connection | MockConnection, **options: object) -> None:
    if (triggers := triggers_of(table)) is not None:
        database = connection if isinstance(connection, Connection) else None
        for statement in create_triggers(translate_schemas(triggers, connection), connection.dialect, database):
            connection.execute(statement)


@event.listens_for(Table, "before_drop")
def _drop_with_table(table: Table, connection: Connection | MockConnection, **options: object) -> None:
    # Those of SQLite go with their table; the functions of PostgreSQL would stay.
    if connection.dialect.name != "sqlite" and (triggers := triggers_of(table)) is not None:
        for statement in drop_triggers(translate_schemas(triggers, connection), connection.dialect):
            connection.execute(statement)
