"""Alembic's directives for triggers: `op.create_file_triggers` and `op.drop_file_triggers`.

They name everything that the triggers are made from, so that a migration needs no model.
"""

from collections.abc import Mapping, Sequence

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection, Dialect

from fastapi_filestore.orm.ledger.ledger import DEFAULT_NAME, DELETION_GRACE, LedgerTarget
from fastapi_filestore.orm.triggers import create_triggers, drop_triggers
from fastapi_filestore.orm.triggers.description import FileTriggers


class FileTriggersOperation(MigrateOperation):
    """Triggers of one table, to be created or dropped."""

    def __init__(self, triggers: FileTriggers) -> None:
        self.triggers = triggers

    @classmethod
    def described(
        cls,
        operations: Operations,
        table: str,
        columns: Mapping[str, bool],
        *,
        key: Sequence[str],
        schema: str | None = None,
        ledger: str = DEFAULT_NAME,
        ledger_schema: str | None = None,
        grace: float = DELETION_GRACE,
    ) -> None:
        """Run the operation for the triggers of a table, which are described as `FileTriggers` and `LedgerTarget`."""
        target = LedgerTarget(ledger, ledger_schema, grace)
        operations.invoke(cls(FileTriggers(table, schema, dict(columns), list(key), target)))


@Operations.register_operation("create_file_triggers", "described")
class CreateFileTriggers(FileTriggersOperation):
    """Create the triggers of a table, in place of any it has."""

    def reverse(self) -> "DropFileTriggers":
        """Return the operation that undoes this one."""
        return DropFileTriggers(self.triggers)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Say what differs, for `alembic check`."""
        return ("add_file_triggers", self.triggers.table)


@Operations.register_operation("drop_file_triggers", "described")
class DropFileTriggers(FileTriggersOperation):
    """Drop the triggers of a table that lives on."""

    def reverse(self) -> CreateFileTriggers:
        """Return the operation that undoes this one."""
        return CreateFileTriggers(self.triggers)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Say what differs, for `alembic check`."""
        return ("remove_file_triggers", self.triggers.table)


@Operations.implementation_for(CreateFileTriggers)
def _create(operations: Operations, operation: CreateFileTriggers) -> None:
    _drop(operations, operation)
    for statement in create_triggers(operation.triggers, *_dialect_and_connection(operations)):
        operations.execute(statement)


@Operations.implementation_for(DropFileTriggers)
def _drop(operations: Operations, operation: FileTriggersOperation) -> None:
    for statement in drop_triggers(operation.triggers, *_dialect_and_connection(operations)):
        operations.execute(statement)


def _dialect_and_connection(operations: Operations) -> tuple[Dialect, Connection | None]:
    # A migration that is written down as SQL asks nobody.
    context = operations.get_context()
    return context.dialect, None if context.as_sql else context.connection
