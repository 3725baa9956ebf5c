"""Teach Alembic's autogenerate of file columns: the import of their type, and the triggers of their tables."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import PriorityDispatchResult
from sqlalchemy import Connection, Table, text

from fastapi_filestore.orm.alembic.operations import CreateFileTriggers, DropFileTriggers, FileTriggersOperation
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.holders.path_index import path_indexes, path_indexes_on_sqlite, refuse_lists
from fastapi_filestore.orm.triggers.description import triggers_of
from fastapi_filestore.orm.triggers.installed import COMPLETE, Place, find_installed_triggers, is_same

RenderItem: TypeAlias = Callable[[str, object, AutogenContext], str | Literal[False]]


@renderers.dispatch_for(FileTriggersOperation)
def _render(context: AutogenContext, operation: FileTriggersOperation) -> str:
    directive = "create_file_triggers" if isinstance(operation, CreateFileTriggers) else "drop_file_triggers"
    return f"{context.opts['alembic_module_prefix'] or ''}{directive}({operation.triggers.arguments})"


def compare(context: AutogenContext, upgrade: ops.UpgradeOps) -> PriorityDispatchResult:
    """Add to a migration what file columns need beside the columns themselves."""
    render_item = context.opts.get("render_item")
    if not isinstance(render_item, _ItemRenderer):
        context.opts["render_item"] = _ItemRenderer(render_item)
    connection = context.connection
    if connection is not None and connection.dialect.name in COMPLETE:
        tables = [
            table
            for table in context.sorted_tables
            if context.run_object_filters(table, table.name, "table", False, None)  # noqa: FBT003 - Alembic's signature
        ]
        changes = (ops.ModifyTableOps, ops.CreateTableOp, ops.DropTableOp)
        touched = {(change.schema, change.table_name) for change in upgrade.ops if isinstance(change, changes)}
        before, after = _trigger_differences(connection, tables, touched)
        unindexed, indexed = _index_differences(connection, tables, touched)
        upgrade.ops[:0] = [*before, *unindexed]
        upgrade.ops += [*indexed, *after]
    return PriorityDispatchResult.CONTINUE


@dataclass(frozen=True, slots=True)
class _ItemRenderer:
    """Render what env.py does, and our type with its import, whatever prefix env.py gives to types of its own."""

    of_env: RenderItem | None

    def __call__(self, kind: str, item: object, context: AutogenContext) -> str | Literal[False]:
        rendered = False if self.of_env is None else self.of_env(kind, item, context)
        if rendered is not False or not isinstance(item, StoredObject):
            return rendered
        module = type(item).__module__
        if context.imports is not None:
            context.imports.add(f"import {module}")
        return f"{module}.{item!r}"


def _trigger_differences(
    connection: Connection, tables: Sequence[Table], touched: Collection[Place]
) -> tuple[list[DropFileTriggers], list[CreateFileTriggers]]:
    """Return what to drop before anything else in a migration, and what to create after everything else."""
    dialect, default = connection.dialect.name, connection.dialect.default_schema_name
    known = find_installed_triggers(connection)
    wanted = {(None if table.schema == default else table.schema, table.name): triggers_of(table) for table in tables}
    drops, creations = list[DropFileTriggers](), list[CreateFileTriggers]()
    for place in sorted(wanted.keys() | known.keys() & touched, key=str):
        old, new = known.get(place), wanted.get(place)
        # Batch mode makes the table anew, without its triggers; and while it rebuilds the ledger, none may refer to it.
        home = None if new is None else (new.ledger.schema, new.ledger.name)
        is_rebuilt = dialect == "sqlite" and new is not None and (place in touched or home in touched)
        if is_same(old, new, dialect) and not is_rebuilt:
            continue
        if old is not None:
            drops.append(DropFileTriggers(old))
        if new is not None:
            creations.append(CreateFileTriggers(new))
    return drops, creations


def _index_differences(
    connection: Connection, tables: Sequence[Table], touched: Collection[Place]
) -> tuple[list[ops.DropIndexOp], list[ops.CreateIndexOp]]:
    """Return which indexes on SQLite to drop before anything else in a migration, and which to create after tables."""
    drops, creations = list[ops.DropIndexOp](), list[ops.CreateIndexOp]()
    if connection.dialect.name != "sqlite":
        return drops, creations
    for table in tables:
        refuse_lists(table, connection)
    for schema in {None, *(table.schema for table in tables)}:
        known = path_indexes_on_sqlite(connection, schema)
        own = [table for table in tables if table.schema == schema]
        wanted = {str(index.name): index for table in own for index in path_indexes(table)}
        # Batch mode makes a table anew, without an index that it can't see.
        rebuilt = {name for name, index in known.items() if (schema, index.table) in touched}
        for name in sorted((known.keys() - wanted.keys()) | rebuilt):
            index = known[name]
            creation = ops.CreateIndexOp(name, index.table, [text(index.expression)], schema=schema)
            drops.append(ops.DropIndexOp(name, index.table, schema=schema, _reverse=creation))
        for name in sorted(wanted.keys() - (known.keys() - rebuilt)):
            creations.append(ops.CreateIndexOp.from_index(wanted[name]))
    return drops, creations
