"""Find what the views of a database show: the columns of tables that they read, which are asked in their place.

A view shows rows of tables, two views may show the same row, and one may leave rows out. So the question who holds a
file goes to the tables, to each column once. A view is asked itself only if its files come from no column of JSON, or
from one that may not be read.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import ARRAY, Column, Connection, MetaData, Table, Text, bindparam, inspect, text

from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.mapped_types import AnyColumn
from fastapi_filestore.orm.triggers.description import qualified

Place = tuple[str | None, str]
"""The schema of a table and its name."""
ColumnPlace = tuple[str | None, str, str]
"""The schema of a table, its name, and that of a column of it."""


class Source(NamedTuple):
    """A column of a table that a view reads.

    Attributes:
        schema: The table's.
        table: The table's name; of a partition, that of the whole table.
        column: The column's name.
        row: The names of the columns that tell a row of the table from others.
        is_json: Whether it is made for JSON.
        is_readable: Whether the connection may read it in all rows.
        needs_schema: Whether the table's name alone means another table, or none.
    """

    schema: str
    table: str
    column: str
    row: tuple[str, ...]
    is_json: bool
    is_readable: bool
    needs_schema: bool

    def is_among(self, columns: Collection[ColumnPlace]) -> bool:
        """Tell whether it is one of some columns, which may name no schema."""
        return (self.schema, self.table, self.column) in columns or (
            not self.needs_schema and (None, self.table, self.column) in columns
        )


class View(NamedTuple):
    """A view: what it reads, and whether the connection may read it."""

    sources: list[Source]
    is_readable: bool = True


Views = Mapping[Place, View]
"""The views of a database."""
VIRTUAL = 2
"""SQLite's mark of a column that is computed, and not stored."""


def columns_behind(
    view: Collection[AnyColumn], sources: Iterable[Source], asked: Collection[ColumnPlace]
) -> dict[ColumnPlace, AnyColumn] | None:
    """Return the columns that are to be asked, beside those that are already, because a view shows their files.

    None if the view is to be asked itself.
    """
    tables = defaultdict[Place, list[Source]](list)
    for source in sources:
        if source.is_json or source.is_among(asked):
            tables[source.schema, source.table].append(source)
    names, files = {column.name for column in view}, list[Source]()
    for columns in tables.values():
        # What has the name of a file in the view is one: other JSON of the table need not be.
        files += [source for source in columns if source.column in names] or columns
    new = [source for source in files if not source.is_among(asked)]
    if not files or not all(source.is_readable for source in new):
        return None
    behind: dict[ColumnPlace, AnyColumn] = {}
    for source in new:
        # The type of the column of the same name. A column for lists is read as one of lone files, too.
        types = [(shown.name == source.column, shown.type) for shown in view if isinstance(shown.type, StoredObject)]
        _, kind = max(types, key=lambda pair: (pair[0], pair[1].multiple))
        behind[source.schema, source.table, source.column] = _column_of(source, kind)
    return behind


@lru_cache(maxsize=1000)  # a statement about a table that is described anew is compiled anew
def _column_of(source: Source, kind: StoredObject) -> AnyColumn:
    row = (AnyColumn(name, primary_key=True) for name in source.row)
    table = Table(source.table, MetaData(), *row, Column(source.column, kind), schema=source.schema)
    return table.columns[source.column]


_READ_BY = """
    JOIN pg_depend AS read ON read.classid = 'pg_rewrite'::regclass AND read.objid = rule.oid
      AND read.refclassid = 'pg_class'::regclass AND read.refobjid <> rule.ev_class
    WHERE rule.ev_type = '1'"""
_VIEWS = text(f"""
    WITH RECURSIVE asked AS (
      SELECT name, to_regclass(name)::oid AS view FROM unnest(CAST(:names AS text[])) AS name
    ), reads AS (
      SELECT rule.ev_class AS view, read.refobjid AS relation, read.refobjsubid AS number
      FROM pg_rewrite AS rule {_READ_BY} AND rule.ev_class IN (SELECT view FROM asked)
      UNION
      SELECT reads.view, read.refobjid, read.refobjsubid
      FROM reads JOIN pg_rewrite AS rule ON rule.ev_class = reads.relation {_READ_BY}
    ), sources AS (
      SELECT DISTINCT reads.view, space.nspname, home.relname, attribute.attname,
        attribute.atttypid IN ('json'::regtype, 'jsonb'::regtype) AS is_json,
        has_schema_privilege(space.oid, 'USAGE') AND NOT row_security_active(home.oid)
          AND has_column_privilege(home.oid, attribute.attname::text, 'SELECT') AS is_readable,
        NOT pg_table_is_visible(home.oid) AS needs_schema
      FROM reads
      JOIN pg_class AS part ON part.oid = reads.relation AND part.relkind IN ('r', 'p', 'f')
      JOIN pg_class AS home ON home.oid = coalesce(pg_partition_root(part.oid), part.oid)
      JOIN pg_namespace AS space ON space.oid = home.relnamespace
      JOIN pg_attribute AS attribute ON attribute.attrelid = part.oid AND attribute.attnum > 0
        AND NOT attribute.attisdropped AND reads.number IN (0, attribute.attnum)
    )
    SELECT asked.name,
      has_schema_privilege(shown.relnamespace, 'USAGE') AND has_any_column_privilege(shown.oid, 'SELECT'),
      sources.nspname, sources.relname, sources.attname, is_json, is_readable, needs_schema
    FROM asked JOIN pg_class AS shown ON shown.oid = asked.view AND shown.relkind IN ('v', 'm')
    LEFT JOIN sources ON sources.view = asked.view
""").bindparams(bindparam("names", type_=ARRAY(Text)))  # noqa: S608 - texts of our own


def views_among(connection: Connection, files: Mapping[Place, Collection[str]]) -> Views:
    """Return those of some tables, given with the names of their file columns, that are views.

    They are told on PostgreSQL and SQLite only.
    """
    views: dict[Place, View] = {}
    if connection.dialect.name == "postgresql":
        preparer = connection.dialect.identifier_preparer
        names = {qualified(preparer, name, schema): (schema, name) for schema, name in files}
        for name, is_readable, schema, table, column, *facts in connection.execute(_VIEWS, {"names": list(names)}):
            view = views.setdefault(names[name], View([], is_readable))
            if schema is not None:
                view.sources.append(Source(schema, table, column, ("tableoid", "ctid"), *facts))
    elif connection.dialect.name == "sqlite":
        database = inspect(connection)
        views_of = {schema: set(database.get_view_names(schema=schema)) for schema in {schema for schema, _ in files}}
        for (schema, name), columns in files.items():
            if name in views_of[schema]:
                views[schema, name] = View(list(_sources_on_sqlite(connection, schema or "main", name, columns)))
    return views


def _sources_on_sqlite(connection: Connection, home: str, view: str, columns: Iterable[str]) -> Iterator[Source]:
    """Yield what a view reads on SQLite.

    SQLite tells it in no other way: its program opens trees by their roots and reads columns of them by number.
    """
    quote = connection.dialect.identifier_preparer.quote
    # A driver keeps statements, and SQLite makes no new program of one that explains another.
    version = connection.exec_driver_sql(f"PRAGMA {quote(home)}.schema_version").scalar_one()
    query = f"SELECT {', '.join(map(quote, columns))} FROM {quote(home)}.{quote(view)}"  # noqa: S608 - quoted
    program = connection.exec_driver_sql(f"EXPLAIN /* {version:d} */ {query}").all()
    schemas = {number: name for number, name, _ in connection.exec_driver_sql("PRAGMA database_list")}
    trees = {cursor: (schemas[number], root) for _, step, cursor, root, number, *_ in program if step == "OpenRead"}
    reads = [(cursor, number) for _, step, cursor, number, *_ in program if step == "Column" and cursor in trees]
    for schema, root, number in sorted((*trees[cursor], number) for cursor, number in reads):
        query = f"SELECT name, tbl_name FROM {quote(schema)}.sqlite_master WHERE rootpage = {root:d}"  # noqa: S608
        for tree, table in connection.exec_driver_sql(query):
            described = connection.exec_driver_sql(f"PRAGMA {quote(schema)}.table_xinfo({quote(table)})").all()
            # An index, and a table that is one, has the columns of its own.
            indexed = connection.exec_driver_sql(f"PRAGMA {quote(schema)}.index_xinfo({quote(tree)})").all()
            stored = [name for _, _, name, *_ in indexed] or [info[1] for info in described if info[-1] != VIRTUAL]
            row = tuple(info[1] for info in described if info[5]) or ("rowid",)
            is_json = any(info[1] == stored[number] and "JSON" in info[2].upper() for info in described)
            yield Source(schema, table, stored[number], row, is_json, is_readable=True, needs_schema=schema != "main")
