"""Let the database write, by triggers, a deletion intent for every object that leaves a row, whoever takes it out.

The unit of work writes the intents of what a session does. Raw SQL, ON DELETE CASCADE, TRUNCATE and other programs
pass it by; `add_ledger(metadata, triggers=True)` lets the database write theirs. An object that comes back to a row in
the same transaction is spared.
"""

from collections.abc import Iterator
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, Table, event
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import IdentifierPreparer

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.ledger.ledger import triggers_target
from fastapi_filestore.orm.triggers import postgresql, sqlite
from fastapi_filestore.orm.triggers.description import FileTriggers, triggers_for


class _Texts(Protocol):
    """A module that writes the triggers' text for one kind of database."""

    def create(self, triggers: FileTriggers, preparer: IdentifierPreparer) -> Iterator[str]: ...

    def drop(self, triggers: FileTriggers, preparer: IdentifierPreparer) -> Iterator[str]: ...


_TEXTS: dict[str, _Texts] = {"postgresql": postgresql, "sqlite": sqlite}


class TriggerStatement(ExecutableDDLElement):
    """One statement of a table's triggers, in one database's words."""

    def __init__(self, sql: str) -> None:
        self.sql = sql


@compiles(TriggerStatement)
def _as_it_is(element: TriggerStatement, compiler: Any, **options: Any) -> str:
    return element.sql


def create_triggers(
    triggers: FileTriggers, dialect: Dialect, connection: Connection | None = None
) -> list[TriggerStatement]:
    """Return the statements that create the triggers of a table that has none.

    On SQLite the connection is asked for the names that are free: a table that was renamed keeps those of its triggers.
    """
    texts = _texts(dialect)
    if connection is not None and dialect.name == "sqlite":
        triggers = sqlite.with_free_names(triggers, connection)
    return _statements(texts.create(triggers, dialect.identifier_preparer))


def drop_triggers(
    triggers: FileTriggers, dialect: Dialect, connection: Connection | None = None
) -> list[TriggerStatement]:
    """Return the statements that drop the triggers of a table that lives on; it is fine if it has none.

    On SQLite the connection is asked for their names; without one they are those that they are made with.
    """
    texts, preparer = _texts(dialect), dialect.identifier_preparer
    if connection is not None and dialect.name == "sqlite":
        return _statements(sqlite.drop_found(triggers, preparer, connection))
    return _statements(texts.drop(triggers, preparer))


def _statements(texts: Iterator[str]) -> list[TriggerStatement]:
    return [TriggerStatement(text) for text in texts]


def _texts(dialect: Dialect) -> _Texts:
    if dialect.name not in _TEXTS:
        raise ConfigurationError(
            f"There are no triggers for {dialect.name}: leave triggers=True out of add_ledger, and let audit() find "
            "what raw SQL leaves behind."
        )
    return _TEXTS[dialect.name]


# -- with the tables -----------------------------------------------------------------------------------


def triggers_of(table: Table) -> FileTriggers | None:
    """Return the triggers that a table is to have, if it is to have any."""
    target = triggers_target(table.metadata)
    return None if target is None else triggers_for(table, target)


@event.listens_for(Table, "after_create")
def _create_with_table(table: Table, connection: Connection | MockConnection, **options: Any) -> None:
    if (triggers := triggers_of(table)) is not None:
        asked = connection if isinstance(connection, Connection) else None
        for statement in create_triggers(translated(triggers, connection), connection.dialect, asked):
            connection.execute(statement)


@event.listens_for(Table, "before_drop")
def _drop_with_table(table: Table, connection: Connection | MockConnection, **options: Any) -> None:
    # Those of SQLite go with their table; the functions of PostgreSQL would stay.
    if connection.dialect.name != "sqlite" and (triggers := triggers_of(table)) is not None:
        for statement in drop_triggers(translated(triggers, connection), connection.dialect):
            connection.execute(statement)


def translated(triggers: FileTriggers, connection: Connection | MockConnection) -> FileTriggers:
    """Return triggers in the schemas that a connection translates theirs to."""
    # A mock engine, which only prints what it is given, has no options.
    options = connection.get_execution_options() if isinstance(connection, Connection) else {}
    return triggers.translated(options.get("schema_translate_map", {}))
