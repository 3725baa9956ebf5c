"""Describe the triggers of one table: the facts that their text is made from, and that a database can be asked for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypedDict

from sqlalchemy import Connection, Table
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.sql.compiler import IdentifierPreparer

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.ledger.ledger import DEFAULT_NAME, DELETION_GRACE, LedgerTarget, triggers_target

VERSION = 2
"""Of the triggers' text: Alembic replaces those of another version."""
LONGEST_NAME = 63
"""Bytes in a name on PostgreSQL."""

MARK = "-- fastapi_filestore "
"""Begins the line of a trigger's text that holds the facts."""


class _Facts(TypedDict):
    """The facts in the triggers' text, but for the names of their table, which may be renamed."""

    version: int
    columns: Mapping[str, bool]
    key: Sequence[str]
    ledger: tuple[str | None, str]
    grace: float


@dataclass(frozen=True, slots=True)
class FileTriggers:
    """The triggers of one table.

    Attributes:
        table: The table's name.
        schema: Its schema.
        columns: Its file columns, and of each whether it holds a list, which the text does not depend on.
        key: Its primary key's columns.
        ledger: Where they write.
        ending: What their names end with, where a table that was renamed has taken the usual ones along.
    """

    table: str
    schema: str | None
    columns: Mapping[str, bool]
    key: Sequence[str]
    ledger: LedgerTarget
    ending: str = ""

    def name(self, purpose: str) -> str:
        """Return the name of one of the triggers, or of a function of theirs."""
        name = f"filestore_{self.table}_{purpose}{self.ending}"
        if len(name.encode()) <= LONGEST_NAME:
            return name
        return f"filestore_{sha256(self.table.encode()).hexdigest()[:16]}_{purpose}"

    @property
    def arguments(self) -> str:
        """The arguments of Alembic's directives for these triggers."""
        options: dict[str, object] = {"key": list(self.key)}
        if self.schema is not None:
            options["schema"] = self.schema
        if self.ledger.name != DEFAULT_NAME:
            options["ledger"] = self.ledger.name
        if self.ledger.schema is not None:
            options["ledger_schema"] = self.ledger.schema
        if self.ledger.grace != DELETION_GRACE:
            options["grace"] = self.ledger.grace
        values = ", ".join(f"{name}={value!r}" for name, value in options.items())
        return f"{str(self.table)!r}, {dict(self.columns)!r}, {values}"

    @property
    def mark(self) -> str:
        """The comment in the triggers' text that says what they are."""
        facts = _Facts(
            version=VERSION,
            columns=dict(self.columns),
            key=list(self.key),
            ledger=(self.ledger.schema, self.ledger.name),
            grace=self.ledger.grace,
        )
        # Drivers may take a percent sign for a parameter, and the text may stand between dollar quotes.
        return MARK + json.dumps(facts, sort_keys=True).replace("%", "\\u0025").replace("$", "\\u0024")


def read_mark(table: str, schema: str | None, text: str) -> FileTriggers | None:
    """Return the triggers that a text in a database describes; None if it is not ours, or another version's."""
    line = next((line for line in text.splitlines() if line.strip().startswith(MARK)), None)
    facts: _Facts | None = json.loads(line.strip().removeprefix(MARK)) if line else None
    if facts is None or facts.get("version") != VERSION:
        return None
    home, name = facts["ledger"]
    return FileTriggers(table, schema, facts["columns"], facts["key"], LedgerTarget(name, home, facts["grace"]))


def triggers_of(table: Table) -> FileTriggers | None:
    """Return the triggers that a table is to have; None if it has no file columns, or its metadata wants none.

    Raises:
        ConfigurationError: It has no primary key, so a trigger could not find a row again.
    """
    if (ledger := triggers_target(table.metadata)) is None:
        return None
    columns = {column.name: column.type.multiple for column in table.columns if isinstance(column.type, StoredObject)}
    key = [column.name for column in table.primary_key]
    if columns and not key:
        raise ConfigurationError(f"{table.fullname} has file columns but no primary key: triggers need one.")
    return FileTriggers(table.name, table.schema, columns, key, ledger) if columns else None


def translate_schemas(triggers: FileTriggers, connection: Connection | MockConnection) -> FileTriggers:
    """Return triggers in the schemas that a connection translates theirs to."""
    # A mock engine, which only prints what it is given, has no options.
    options = connection.get_execution_options() if isinstance(connection, Connection) else {}
    schemas, ledger = options.get("schema_translate_map", {}), triggers.ledger
    return replace(
        triggers,
        schema=schemas.get(triggers.schema, triggers.schema),
        ledger=replace(ledger, schema=schemas.get(ledger.schema, ledger.schema)),
    )


def qualified(preparer: IdentifierPreparer, name: str, schema: str | None) -> str:
    """Return a quoted name with its quoted schema, if it has one."""
    return f"{preparer.quote_schema(schema)}.{preparer.quote(name)}" if schema else preparer.quote(name)
