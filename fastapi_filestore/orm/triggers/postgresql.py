"""Write the triggers for PostgreSQL.

What leaves a row gets its intent at once. What comes to a row is looked at when the transaction commits, so a file
that moves between rows is spared in whichever order the statements run. The functions run with their owner's rights,
so that a role which may delete rows need not be allowed to write the ledger; nobody else may make triggers of them.

The functions name neither the table nor its columns, so they outlive a RENAME. The triggers' conditions name them, and
the database keeps these right, in a dump as well: the functions ask it which columns the conditions are about.

What waits for the commit keeps the table from being altered, truncated or dropped in the same transaction: where a
migration writes rows first, `SET CONSTRAINTS ALL IMMEDIATE` lets it go on.
"""

from collections.abc import Iterator

from sqlalchemy import Connection
from sqlalchemy.sql.compiler import IdentifierPreparer

from fastapi_filestore.orm.ledger.clock import POSTGRESQL_CLOCK
from fastapi_filestore.orm.triggers.description import MARK, FileTriggers, qualified

HOME = "@home@"
"""Stands for the current schema where a table has none of its own; the functions don't follow a search path."""

PURPOSES = ("delete", "update", "truncate", "inserted", "updated")
FUNCTIONS = ("lose", "gain")

COLUMNS = """
  FROM pg_trigger AS fired
  JOIN pg_trigger AS sibling ON sibling.tgrelid = fired.tgrelid AND sibling.tgfoid = fired.tgfoid
  JOIN pg_depend AS named ON named.classid = 'pg_trigger'::regclass AND named.objid = sibling.oid
    AND named.refclassid = 'pg_class'::regclass AND named.refobjid = sibling.tgrelid AND named.refobjsubid > 0
  JOIN pg_attribute AS attribute ON attribute.attrelid = named.refobjid AND attribute.attnum = named.refobjsubid
  WHERE fired.tgname = TG_NAME
    AND (fired.tgrelid = TG_RELID OR fired.tgrelid IN (SELECT relid FROM pg_partition_ancestors(TG_RELID)))"""
"""The columns that the conditions of the triggers of one function name. Only those of a whole table name any: the
triggers of its partitions are copies, of columns with the same names."""

READABLE = (
    '@.type() == "object" && (!exists(@.backend) || @.backend.type() == "null" || @.backend.type() == "string")'
    ' && ((@.path.type() == "string" && @.path != "")'
    ' || ((!exists(@.path) || @.path.type() == "null" || (@.path.type() == "string" && @.path == ""))'
    ' && @.filename.type() == "string" && @.filename != ""))'
)
"""Holds for an object in JSON that says where its file is: `file_object.record` reads no other, either."""

FILES = f"jsonb_path_query({{0}}, '$[*] ? (!exists(@[*] ? (!({READABLE}))))[*]') AS found (file)"
"""The files in an array of the values of columns, each of which holds one or a list; those of a readable value only."""

PATH = "COALESCE(NULLIF(found.file ->> 'path', ''), found.file ->> 'filename')"
PLACE = (
    "found.file ->> 'backend' AS backend,\n"
    f"    COALESCE(NULLIF(regexp_replace({PATH}, '^/|/$', '', 'g'), ''), {PATH}) AS path"
)
"""A file's place: stores drop a slash at the beginning and at the end that advanced-alchemy's rows keep."""


def create(triggers: FileTriggers, preparer: IdentifierPreparer, _: Connection | None) -> Iterator[str]:
    """Return the statements that create a table's functions and triggers."""
    table = qualified(preparer, triggers.table, triggers.schema)
    for purpose, body in zip(FUNCTIONS, (_lose(triggers, preparer), _gain(triggers, preparer)), strict=True):
        function = _function(triggers, preparer, purpose)
        yield (
            f"DO $do$ BEGIN EXECUTE replace($create$\nCREATE OR REPLACE FUNCTION {function}() RETURNS trigger\n"
            "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp\n"
            f"AS $body$\n{body}\n$body$\n$create$, '{HOME}', quote_ident(current_schema())); END $do$"
        )
        yield f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"
    deferred = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    old, new = (_any(triggers, preparer, f"{row}.{{0}} IS NOT NULL") for row in ("OLD", "NEW"))
    changed = _any(triggers, preparer, "OLD.{0}::jsonb IS DISTINCT FROM NEW.{0}::jsonb")
    renamed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in map(preparer.quote, triggers.key))
    moments = {
        "delete": ("TRIGGER", f"AFTER DELETE ON {table} FOR EACH ROW", f"WHEN ({old}) ", "lose"),
        "update": ("TRIGGER", f"AFTER UPDATE ON {table} FOR EACH ROW", f"WHEN ({changed}) ", "lose"),
        "truncate": ("TRIGGER", f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT", "", "lose"),
        "inserted": ("CONSTRAINT TRIGGER", f"AFTER INSERT ON {table} {deferred}", f"WHEN ({new}) ", "gain"),
        "updated": (
            "CONSTRAINT TRIGGER",
            f"AFTER UPDATE ON {table} {deferred}",
            f"WHEN ({changed} OR {renamed}) ",
            "gain",
        ),
    }
    for purpose in PURPOSES:
        kind, moment, condition, function = moments[purpose]
        yield (
            f"CREATE {kind} {preparer.quote(triggers.name(purpose))} {moment} "
            f"{condition}EXECUTE FUNCTION {_function(triggers, preparer, function)}()"
        )


def drop(triggers: FileTriggers, preparer: IdentifierPreparer, _: Connection | None) -> Iterator[str]:
    """Return the statement that drops what a table has of them, whatever it was called when they were made."""
    table = qualified(preparer, triggers.table, triggers.schema)
    functions = [f"to_regprocedure($name${_function(triggers, preparer, purpose)}()$name$)" for purpose in FUNCTIONS]
    yield (
        f"DO $do$ DECLARE\n  functions oid[] := ARRAY[{', '.join(functions)}];\n  ours record;\n  unused oid;\n"
        "BEGIN\n"
        "FOR ours IN SELECT trig.tgname, trig.tgrelid::regclass AS home, trig.tgfoid FROM pg_trigger AS trig\n"
        f"  JOIN pg_proc AS proc ON proc.oid = trig.tgfoid WHERE trig.tgrelid = to_regclass($name${table}$name$)\n"
        f"  AND trig.tgparentid = 0 AND NOT trig.tgisinternal AND strpos(proc.prosrc, '{MARK}') > 0\n"
        "LOOP\n"
        "  EXECUTE 'DROP TRIGGER ' || quote_ident(ours.tgname) || ' ON ' || ours.home;\n"
        "  functions := functions || ours.tgfoid;\n"
        "END LOOP;\n"
        # Another table may have taken a name that this one had, and the functions with it.
        "FOR unused IN SELECT oid FROM pg_proc WHERE oid = ANY (functions)\n"
        "  AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = pg_proc.oid)\n"
        "LOOP\n"
        "  EXECUTE 'DROP FUNCTION ' || unused::regprocedure;\n"
        "END LOOP;\nEND $do$"
    )


def _function(triggers: FileTriggers, preparer: IdentifierPreparer, purpose: str) -> str:
    return qualified(preparer, triggers.name(purpose), triggers.schema)


def _any(triggers: FileTriggers, preparer: IdentifierPreparer, pattern: str) -> str:
    return " OR ".join(pattern.format(preparer.quote(column)) for column in triggers.columns)


def _lose(triggers: FileTriggers, preparer: IdentifierPreparer) -> str:
    """Return the body of the function that writes intents of what leaves a row."""
    lost, kept = (f"SELECT {PLACE} FROM {FILES.format(files)}" for files in ("old_files", "new_files"))
    intend = (
        f"INSERT INTO {_ledger(triggers, preparer)} (backend, path, kind, due_at, attempts)\n"
        f"  SELECT DISTINCT backend, path, 'delete', {POSTGRESQL_CLOCK} + {triggers.ledger.grace}, 0"
    )
    # What no ledger can hold no store can, either.
    located = "WHERE length(backend) <= 255 AND octet_length(path) <= 1024 ON CONFLICT DO NOTHING"
    return (
        f"{triggers.mark}\nDECLARE\n"
        "  row text := CASE TG_OP WHEN 'TRUNCATE' THEN 'emptied.' ELSE '($1).' END;\n"
        "  files text;\n  old_files jsonb;\n  new_files jsonb;\n"
        "BEGIN\n"
        "SELECT 'jsonb_build_array(' || string_agg(row || quote_ident(attname) || '::jsonb', ', ') || ')' INTO files\n"
        f"  FROM (SELECT DISTINCT attribute.attname{COLUMNS}) AS watched;\n"
        f"{_check(triggers, preparer, 'files')}"
        "IF TG_OP = 'TRUNCATE' THEN\n"
        f"  EXECUTE $sql${intend} FROM (SELECT {PLACE} FROM $sql$ || TG_RELID::regclass || $sql$ AS emptied,\n"
        f"    LATERAL {FILES.format('$sql$ || files || $sql$')}) AS lost {located}$sql$;\n"
        "  RETURN NULL;\n"
        "END IF;\n"
        "EXECUTE 'SELECT ' || files INTO old_files USING OLD;\n"
        "IF TG_OP = 'UPDATE' THEN\n  EXECUTE 'SELECT ' || files INTO new_files USING NEW;\nEND IF;\n"
        f"{intend} FROM ({lost}\n    EXCEPT {kept}) AS lost {located};\n"
        "RETURN NULL;\nEND"
    )


def _gain(triggers: FileTriggers, preparer: IdentifierPreparer) -> str:
    """Return the body of the function that removes intents of what comes to a row."""
    intents = (
        f"FROM {_ledger(triggers, preparer)} AS intent\n"
        f"  WHERE (intent.backend, intent.path) IN (SELECT {PLACE} FROM {FILES.format('held')})\n"
        "  AND intent.kind <> 'upload'"
    )
    return (
        f"{triggers.mark}\nDECLARE\n  files text;\n  same text;\n  held jsonb;\n  tried integer;\nBEGIN\n"
        "SELECT string_agg('kept.' || name || '::jsonb', ', ') FILTER (WHERE is_file),\n"
        "  string_agg('kept.' || name || ' = ($1).' || name, ' AND ') FILTER (WHERE NOT is_file) INTO files, same\n"
        # The condition for new rows names files alone, the one for changed rows the primary key as well.
        "  FROM (SELECT quote_ident(attribute.attname) AS name, bool_or((sibling.tgtype & 4) <> 0) AS is_file"
        f"{COLUMNS} GROUP BY name) AS watched;\n"
        f"{_check(triggers, preparer, 'files', 'same')}"
        # The row may have changed again, or be gone, since this was put off to the end of the transaction.
        "EXECUTE 'SELECT jsonb_build_array(' || files || ') FROM ' || TG_RELID::regclass || ' AS kept WHERE ' || same\n"
        "  INTO held USING NEW;\n"
        # Locked first: a sweeper that is about to claim one has done so, and is seen to, or has to leave it.
        f"SELECT max(attempts) INTO tried FROM (SELECT intent.attempts {intents} FOR UPDATE) AS locked;\n"
        "IF tried > 0 THEN\n"
        "  RAISE EXCEPTION 'fastapi_filestore: a file of this row is being deleted' USING ERRCODE = '40001';\n"
        "ELSIF tried = 0 THEN\n"
        f"  DELETE {intents};\n"
        "END IF;\n"
        "RETURN NULL;\nEND"
    )


def _ledger(triggers: FileTriggers, preparer: IdentifierPreparer) -> str:
    name, schema = triggers.ledger.name, triggers.ledger.schema
    return qualified(preparer, name, schema) if schema else f"{HOME}.{preparer.quote(name)}"


def _check(triggers: FileTriggers, preparer: IdentifierPreparer, *variables: str) -> str:
    """Return the text that tells what to do where the ledger was renamed, or the triggers are not those we made."""
    missing = "".join(f"{variable} IS NULL OR " for variable in variables)
    ledger = _ledger(triggers, preparer)
    hint = (
        "Make the triggers anew in a migration, with the names as they are now:\n"
        f"op.drop_file_triggers({triggers.arguments})\nop.create_file_triggers({triggers.arguments})"
    )
    # As in the mark: neither a driver nor the quotes around the text may take these for theirs.
    hint = hint.replace("%", "\\x25").replace("$", "\\x24")
    return (
        f"IF {missing}to_regclass($name${ledger}$name$) IS NULL THEN\n"
        "  RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',\n"
        f"    MESSAGE = $text$fastapi_filestore: the triggers of this table can't write to the ledger {ledger}$text$,\n"
        f"    DETAIL = 'Table: ' || TG_RELID::regclass, HINT = $text${hint}$text$;\nEND IF;\n"
    )
