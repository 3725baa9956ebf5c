"""The triggers' text for PostgreSQL.

What leaves a row gets its intent at once. What comes to a row is looked at when the transaction commits, so a file
that moves between rows is spared in whichever order the statements run. The functions run with their owner's rights,
so that a role which may delete rows need not be allowed to write the ledger; nobody else may make triggers of them.

What waits for the commit keeps the table from being altered, truncated or dropped in the same transaction: where a
migration writes rows first, `SET CONSTRAINTS ALL IMMEDIATE` lets it go on.
"""

from collections.abc import Iterator

from sqlalchemy.sql.compiler import IdentifierPreparer

from fastapi_filestore.orm.triggers.description import FileTriggers, qualified

HOME = "@home@"
"""Stands for the current schema where a table has none of its own; the functions don't follow a search path."""

PURPOSES = ("delete", "update", "truncate", "inserted", "updated")


def create(triggers: FileTriggers, preparer: IdentifierPreparer) -> Iterator[str]:
    """Return the statements that create a table's functions and triggers."""
    table = qualified(preparer, triggers.table, triggers.schema)
    for purpose, body in (("lose", _lose(triggers, preparer)), ("gain", _gain(triggers, preparer))):
        function = _function(triggers, preparer, purpose)
        yield _create_function(function, body)
        yield f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"
    for purpose in PURPOSES:
        kind, moment, condition, function = _trigger(triggers, preparer, purpose)
        yield (
            f"CREATE {kind} {preparer.quote(triggers.name(purpose))} {moment.format(table=table)} "
            f"{condition}EXECUTE FUNCTION {_function(triggers, preparer, function)}()"
        )


def drop(triggers: FileTriggers, preparer: IdentifierPreparer) -> Iterator[str]:
    """Return the statements that drop them."""
    table = qualified(preparer, triggers.table, triggers.schema)
    for purpose in PURPOSES:
        yield f"DROP TRIGGER IF EXISTS {preparer.quote(triggers.name(purpose))} ON {table}"
    yield from drop_with_table(triggers, preparer)


def drop_with_table(triggers: FileTriggers, preparer: IdentifierPreparer) -> Iterator[str]:
    """Return the statements that drop what is left once the table is dropped."""
    for purpose in ("lose", "gain"):
        yield f"DROP FUNCTION IF EXISTS {_function(triggers, preparer, purpose)}()"


def _function(triggers: FileTriggers, preparer: IdentifierPreparer, purpose: str) -> str:
    return qualified(preparer, triggers.name(purpose), triggers.schema)


def _create_function(function: str, body: str) -> str:
    return (
        f"DO $do$ BEGIN EXECUTE replace($create$\nCREATE OR REPLACE FUNCTION {function}() RETURNS trigger\n"
        "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp\n"
        f"AS $body$\n{body}\n$body$\n$create$, '{HOME}', quote_ident(current_schema())); END $do$"
    )


def _at_home(preparer: IdentifierPreparer, name: str, schema: str | None) -> str:
    return qualified(preparer, name, schema) if schema else f"{HOME}.{preparer.quote(name)}"


def _trigger(triggers: FileTriggers, preparer: IdentifierPreparer, purpose: str) -> tuple[str, str, str, str]:
    deferred = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    old, new = (_any(triggers, preparer, f"{row}.{{0}} IS NOT NULL") for row in ("OLD", "NEW"))
    changed = _any(triggers, preparer, "OLD.{0}::jsonb IS DISTINCT FROM NEW.{0}::jsonb")
    renamed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in map(preparer.quote, triggers.key))
    return {
        "delete": ("TRIGGER", "AFTER DELETE ON {table} FOR EACH ROW", f"WHEN ({old}) ", "lose"),
        "update": ("TRIGGER", "AFTER UPDATE ON {table} FOR EACH ROW", f"WHEN ({changed}) ", "lose"),
        "truncate": ("TRIGGER", "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT", "", "lose"),
        "inserted": ("CONSTRAINT TRIGGER", f"AFTER INSERT ON {{table}} {deferred}", f"WHEN ({new}) ", "gain"),
        "updated": (
            "CONSTRAINT TRIGGER",
            f"AFTER UPDATE ON {{table}} {deferred}",
            f"WHEN ({changed} OR {renamed}) ",
            "gain",
        ),
    }[purpose]


def _any(triggers: FileTriggers, preparer: IdentifierPreparer, pattern: str) -> str:
    return " OR ".join(pattern.format(preparer.quote(column)) for column in triggers.columns)


def _lose(triggers: FileTriggers, preparer: IdentifierPreparer) -> str:
    table = _at_home(preparer, triggers.table, triggers.schema)
    old, new, row = (_held(triggers, preparer, name) for name in ("OLD", "NEW", "emptied"))
    ledger = _at_home(preparer, triggers.ledger.name, triggers.ledger.schema)
    intend = (
        f"INSERT INTO {ledger} (backend, path, kind, due_at, attempts)\n"
        f"  SELECT DISTINCT backend, path, 'delete', {_due(triggers)}, 0 FROM"
    )
    return (
        f"{triggers.mark}\nBEGIN\n"
        f"IF TG_OP = 'TRUNCATE' THEN\n{intend} {table} AS emptied, LATERAL ({row}) AS lost\n  ON CONFLICT DO NOTHING;\n"
        f"ELSIF TG_OP = 'DELETE' THEN\n{intend} ({old}) AS lost\n  ON CONFLICT DO NOTHING;\n"
        f"ELSE\n{intend} ({old}\n    EXCEPT {new}) AS lost\n  ON CONFLICT DO NOTHING;\n"
        "END IF;\nRETURN NULL;\nEND"
    )


def _due(triggers: FileTriggers) -> str:
    return f"EXTRACT(EPOCH FROM clock_timestamp())::double precision + {triggers.ledger.grace}"


def _gain(triggers: FileTriggers, preparer: IdentifierPreparer) -> str:
    table = _at_home(preparer, triggers.table, triggers.schema)
    ledger = _at_home(preparer, triggers.ledger.name, triggers.ledger.schema)
    same = " AND ".join(f"kept.{column} = NEW.{column}" for column in map(preparer.quote, triggers.key))
    # The row may have changed again, or be gone, since this was put off to the end of the transaction.
    held = (
        f"{table} AS kept, LATERAL ({_held(triggers, preparer, 'kept')}) AS held\n"
        f"  WHERE {same} AND intent.backend = held.backend AND intent.path = held.path AND intent.kind = 'delete'"
    )
    return (
        f"{triggers.mark}\nBEGIN\n"
        f"IF EXISTS (SELECT FROM {ledger} AS intent, {held} AND intent.attempts > 0) THEN\n"
        "  RAISE EXCEPTION 'fastapi_filestore: a file of this row is being deleted' USING ERRCODE = '40001';\n"
        "END IF;\n"
        f"DELETE FROM {ledger} AS intent USING {held} AND intent.attempts = 0;\n"
        "RETURN NULL;\nEND"
    )


def _held(triggers: FileTriggers, preparer: IdentifierPreparer, row: str) -> str:
    """Return a query for the backend and path of each file that a row holds."""
    files = " UNION ALL ".join(
        _elements(row, preparer.quote(column)) if multiple else f"SELECT {row}.{preparer.quote(column)}::jsonb AS file"
        for column, multiple in triggers.columns.items()
    )
    return (
        "SELECT backend, path FROM (SELECT file ->> 'backend' AS backend,\n"
        "    COALESCE(NULLIF(file ->> 'path', ''), file ->> 'filename') AS path\n"
        f"    FROM ({files}) AS files) AS located WHERE backend IS NOT NULL AND path IS NOT NULL"
    )


def _elements(row: str, column: str) -> str:
    array = f"CASE jsonb_typeof({row}.{column}::jsonb) WHEN 'array' THEN {row}.{column}::jsonb ELSE '[]'::jsonb END"
    return f"SELECT element AS file FROM jsonb_array_elements({array}) AS element"
