"""What Alembic's autogenerate learns of file columns: the import of their type, and the triggers of their tables."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import PriorityDispatchResult
from sqlalchemy import Connection, text

from fastapi_filestore.orm.migrations import CreateFileTriggers, DropFileTriggers, FileTriggersOperation, render
from fastapi_filestore.orm.stored_object import StoredObject
from fastapi_filestore.orm.triggers import triggers_of
from fastapi_filestore.orm.triggers.description import MARK, FileTriggers, read_mark
from fastapi_filestore.orm.triggers.postgresql import PURPOSES as POSTGRESQL_PURPOSES
from fastapi_filestore.orm.triggers.sqlite import PURPOSES as SQLITE_PURPOSES

RenderItem: TypeAlias = Callable[[str, object, AutogenContext], str | Literal[False]]
Place: TypeAlias = tuple[str | None, str]
"""Schema and name of a table; None for the default schema."""

_QUERIES = {
    "postgresql": (
        "SELECT namespace.nspname, class.relname, proc.prosrc FROM pg_catalog.pg_trigger AS trig "
        "JOIN pg_catalog.pg_class AS class ON class.oid = trig.tgrelid "
        "JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace "
        "JOIN pg_catalog.pg_proc AS proc ON proc.oid = trig.tgfoid "
        "WHERE NOT trig.tgisinternal AND strpos(proc.prosrc, :mark) > 0"
    ),
    "sqlite": "SELECT NULL, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' AND instr(sql, :mark) > 0",
}
_COMPLETE = {"postgresql": len(POSTGRESQL_PURPOSES), "sqlite": len(SQLITE_PURPOSES)}


@renderers.dispatch_for(FileTriggersOperation)
def _render(context: AutogenContext, operation: FileTriggersOperation) -> str:
    return render(operation, context.opts["alembic_module_prefix"] or "")


def compare(context: AutogenContext, upgrade: ops.UpgradeOps) -> PriorityDispatchResult:
    """Add to a migration what file columns need beside the columns themselves."""
    theirs = context.opts.get("render_item")
    if not isinstance(theirs, _ItemRenderer):
        context.opts["render_item"] = _ItemRenderer(theirs)
    if context.connection is not None and context.connection.dialect.name in _QUERIES:
        before, after = _differences(context, context.connection, upgrade)
        upgrade.ops[:0] = before
        upgrade.ops += after
    return PriorityDispatchResult.CONTINUE


@dataclass(frozen=True, slots=True)
class _ItemRenderer:
    """What env.py renders, and our type with its import, whatever prefix env.py gives to types of its own."""

    theirs: RenderItem | None

    def __call__(self, kind: str, item: object, context: AutogenContext) -> str | Literal[False]:
        rendered = False if self.theirs is None else self.theirs(kind, item, context)
        if rendered is not False or not isinstance(item, StoredObject):
            return rendered
        module = type(item).__module__
        if context.imports is not None:
            context.imports.add(f"import {module}")
        return f"{module}.{item!r}"


# -- triggers ------------------------------------------------------------------------------------------


def _differences(
    context: AutogenContext, connection: Connection, upgrade: ops.UpgradeOps
) -> tuple[list[DropFileTriggers], list[CreateFileTriggers]]:
    """Return what to drop before anything else in a migration, and what to create after everything else."""
    default = connection.dialect.default_schema_name
    known, wanted, touched = _in_database(connection), _in_metadata(context, default), _touched(upgrade.ops)
    drops, creations = list[DropFileTriggers](), list[CreateFileTriggers]()
    for place in sorted(wanted.keys() | (known.keys() & touched), key=str):
        old, new = known.get(place), wanted.get(place)
        if _mark(old) == _mark(new) and not (connection.dialect.name == "sqlite" and _rebuilt(place, new, touched)):
            continue
        if old is not None:
            drops.append(DropFileTriggers(old))
        if new is not None:
            creations.append(CreateFileTriggers(new))
    return drops, creations


def _mark(triggers: FileTriggers | None) -> str | None:
    return None if triggers is None else triggers.mark


def _rebuilt(place: Place, triggers: FileTriggers | None, touched: set[Place]) -> bool:
    # Batch mode makes the table anew, without its triggers; and while it rebuilds the ledger, none may refer to it.
    return triggers is not None and bool(touched & {place, (triggers.ledger.schema, triggers.ledger.name)})


def _in_metadata(context: AutogenContext, default: str | None) -> dict[Place, FileTriggers | None]:
    return {
        (None if table.schema == default else table.schema, table.name): triggers_of(table)
        for table in context.sorted_tables
        if context.run_object_filters(table, table.name, "table", False, None)  # noqa: FBT003 - Alembic's signature
    }


def _in_database(connection: Connection) -> dict[Place, FileTriggers]:
    """Return the triggers of ours that are complete; what is not is as good as missing, and is created again."""
    name, default = connection.dialect.name, connection.dialect.default_schema_name
    texts: dict[Place, list[str]] = defaultdict(list)
    for schema, table, source in connection.execute(text(_QUERIES[name]), {"mark": MARK}):
        texts[None if schema == default else schema, table].append(source)
    found = {place: read_mark(place[1], place[0], some[0]) for place, some in texts.items()}
    return {
        place: triggers
        for place, triggers in found.items()
        if triggers is not None and len(texts[place]) == _COMPLETE[name]
    }


def _touched(operations: Iterable[Any]) -> set[Place]:
    tables = (ops.ModifyTableOps, ops.CreateTableOp, ops.DropTableOp)
    return {(one.schema, one.table_name) for one in operations if isinstance(one, tables)}
