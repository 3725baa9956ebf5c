"""Find the rows of tables that make up a row of a mapped class, and the keys that tell them, and lock them.

Whoever locks a row that another transaction has waits for it. So that nobody waits for one who waits for him, all lock
in one order, which is that of SQLAlchemy's updates: the table of a base before that of a class that inherits from it,
with the tables in between that a flush may write afterwards, and the rows of a table by their keys.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from operator import eq
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import (
    BinaryExpression,
    ColumnElement,
    Connection,
    FromClause,
    Join,
    Table,
    bindparam,
    false,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.visitors import iterate

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.mapped_types import AnyColumn, AnyExpression, AnyMapper, Identity
from fastapi_filestore.orm.sessions import writing_bind, writing_connection

ROWS_AT_ONCE: Final = 500
"""Primary keys in one IN list: below every database's limit of parameters."""

Parts: TypeAlias = tuple[tuple[int, AnyColumn], ...]
"""Parts of a class's primary key, by position, each with the column that has the same value."""


@dataclass(frozen=True, slots=True)
class Way:
    """Say where the row of a table is selected from, and which parts of a class's key tell it."""

    source: FromClause
    key: tuple[tuple[int, AnyExpression], ...]


def table_identity(table: Table) -> tuple[object, ...]:
    """Return what two descriptions of one table have in common; one with keys of another kind is another database's."""
    return table.schema, table.name, *((key.name, _kind_of_key(key)) for key in table.primary_key)


def _kind_of_key(key: AnyColumn) -> object:
    try:
        return key.type.python_type
    except NotImplementedError:  # as a type of the user's own may do
        return str(key.type)


def self_and_heirs(mapper: AnyMapper) -> list[AnyMapper]:
    """Return a class and those that inherit from it whose rows are rows of its own, too: no concrete ones."""
    return [below for below in mapper.self_and_descendants if mapper in _self_and_ancestors(below)]


def _self_and_ancestors(mapper: AnyMapper) -> list[AnyMapper]:
    """Return a class and those whose rows its own are, too: a concrete class has a table for itself."""
    line = list(mapper.iterate_to_root())
    end = next((position for position, ancestor in enumerate(line) if ancestor.concrete), len(line))
    return line[: end + 1]


def table_of(mapper: AnyMapper) -> Table:
    """Return a table of a mapped class, that of the class which others inherit from."""
    return next(table for table in _self_and_ancestors(mapper)[-1].tables if isinstance(table, Table))


@cache
def tables_in_order(mapper: AnyMapper) -> tuple[Table, ...]:
    """Return the tables of a class and of those that inherit from it, as SQLAlchemy writes them: of the base first."""
    family = [*reversed(_self_and_ancestors(mapper)), *self_and_heirs(mapper)]
    return tuple(dict.fromkeys(table for relative in family for table in relative.tables if isinstance(table, Table)))


@cache
def way_to(mapper: AnyMapper, table: Table) -> Way | None:
    """Return how the row of a table is found that belongs to a row of a class; None if its key does not tell.

    By the columns of the table itself, if they have the class's key: the row may have lost its other tables. Else by
    the join that the class, or one that inherits from it, is mapped to.
    """
    if key := key_in(mapper, table):
        return Way(table, key)
    whole = tuple(enumerate(mapper.primary_key))
    joins = (heir.persist_selectable for heir in self_and_heirs(mapper))
    return next((Way(join, whole) for join in joins if table in _joined(join)), None)


def _joined(source: FromClause) -> Iterator[FromClause]:
    if isinstance(source, Join):
        yield from _joined(source.left)
        yield from _joined(source.right)
    else:
        yield source


@cache
def key_in(mapper: AnyMapper, table: Table) -> Parts:
    """Return which parts of a class's primary key tell a row of a table, each with its column there; or none.

    The key of a class need not be that of its table, nor need a table that inherits have the same order or names. Of a
    class that joins tables, a part of its key is enough for one of them; of one that maps a query, it is what the query
    shows.
    """
    return _key_by(mapper, table, [{_in_table(column)} for column in mapper.primary_key]) or _key_by(
        mapper, table, [set(column.base_columns) for column in mapper.primary_key]
    )


def _key_by(mapper: AnyMapper, table: Table, starts: Iterable[set[AnyExpression]]) -> Parts:
    """Return the columns of a table that say the same as the parts of a key, from what is known to be each of them."""
    # By the joins of tables that inherit, and by what is one attribute of the class.
    family = dict.fromkeys([*_self_and_ancestors(mapper), *self_and_heirs(mapper)])
    conditions = [relative.inherit_condition for relative in family if relative.inherit_condition is not None]
    comparisons = (part for condition in conditions for part in iterate(condition))
    equal = [
        {_in_table(part.left), _in_table(part.right)}
        for part in comparisons
        if isinstance(part, BinaryExpression) and part.operator is eq
    ]
    keys = (mapper.get_property_by_column(column) for column in mapper.primary_key)
    equal += [{_in_table(column) for column in key.columns} for key in keys]
    found = list[tuple[int, AnyColumn]]()
    for position, start in enumerate(starts):
        names = {
            column.name
            for column in _add_equals(start, equal)
            if isinstance(own := getattr(column, "table", None), Table) and table_identity(own) == table_identity(table)
        }
        found += [(position, column) for column in table.columns if column.name in names][:1]
    tells_all = len(found) == len(mapper.primary_key) or {column for _, column in found} >= set(table.primary_key)
    return tuple(found) if tells_all else ()


def _in_table(column: AnyExpression) -> AnyExpression:
    """Return a column as its table has it: in a condition, an attribute of a class is a copy that knows the class."""
    is_of_table = isinstance(getattr(column, "table", None), Table)
    return next(iter(column.base_columns)) if is_of_table else column


def _add_equals(columns: set[AnyExpression], equal: Iterable[set[AnyExpression]]) -> set[AnyExpression]:
    more = set[AnyExpression]().union(*(others for others in equal if others & columns)) - columns
    return _add_equals(columns | more, equal) if more else columns


def is_written(mapper: AnyMapper, table: Table) -> bool:
    """Tell whether a class writes rows of one of its tables: it maps their key, or has its own there."""
    mapped = {base for prop in mapper.column_attrs for column in prop.columns for base in column.base_columns}
    has_key = len(table.primary_key.columns) > 0 and mapped.issuperset(table.primary_key.columns)
    return has_key or any(column.table is table for column in mapper.primary_key)


# -- locks -----------------------------------------------------------------------------------------------


def in_order_of_locks(session: Session, mapper: AnyMapper, tables: Collection[FromClause]) -> Iterable[FromClause]:
    """Return tables of a class in the order that they are written in, with those that come before the last of them."""
    family = tables_in_order(mapper)
    if len(family) == 1 or writing_bind(session, mapper).dialect.name == "sqlite":  # which has one lock for all tables
        return tables
    places = {table_identity(table): place for place, table in enumerate(family)}

    def place(table: FromClause) -> int:
        return places.get(table_identity(table), len(places)) if isinstance(table, Table) else len(places)

    wanted = {place(table): table for table in tables}
    above = {position: table for position, table in enumerate(family) if position < max(wanted, default=0)}
    between = {position: table for position, table in above.items() if table in mapper.tables and key_in(mapper, table)}
    return [table for _, table in sorted((between | wanted).items())]


def lock_family(session: Session, mapper: AnyMapper, identities: Sequence[Identity]) -> None:
    """Lock what rows of several classes have in the table of the one that they inherit from, before any other table."""
    table = table_of(mapper)
    if key_in(mapper, table) and writing_bind(session, mapper).dialect.name != "sqlite":
        list(locked_rows(session, mapper, table, [], identities))


def locked_rows(
    session: Session,
    mapper: AnyMapper,
    table: FromClause,
    columns: Sequence[AnyColumn],
    identities: Sequence[Identity],
) -> Iterator[tuple[Identity, Sequence[object]]]:
    """Yield the identity and the values of rows of one table, locked until the transaction ends."""
    if (way := way_to(mapper, table)) is None:
        raise ConfigurationError(
            f"{mapper.class_.__name__} has rows in {table}, and nothing says which: map the columns of {table} that "
            "its primary key is to be compared with."
        )
    key, connection = [column for _, column in way.key], writing_connection(session, mapper)
    if len(identities) > 1:
        with suppress(TypeError):  # of keys that have no order here, the database knows one for each batch
            identities = sorted(cast("Sequence[Any]", identities))
    for start in range(0, len(identities), ROWS_AT_ONCE):
        wanted = defaultdict[Identity, list[Identity]](list)
        for identity in identities[start : start + ROWS_AT_ONCE]:
            wanted[tuple(identity[position] for position, _ in way.key)].append(identity)
        is_wanted = is_one_of(key[0], [part for (part,) in wanted]) if len(key) == 1 else tuple_(*key).in_(list(wanted))
        statement = select(*key, *columns).select_from(way.source).where(is_wanted).with_for_update()
        if len(wanted) > 1:
            statement = statement.order_by(*key)
        if connection.dialect.name == "sqlite":
            take_write_lock(connection, table_of(mapper))
        for row in connection.execute(statement).all():
            found = tuple(row[: len(key)])
            for identity in wanted.get(found, [found]):  # as the database spells it, if it is none that was asked for
                yield identity, row[len(key) :]


def is_one_of(column: AnyExpression, values: Sequence[object]) -> ColumnElement[bool]:
    """Compare a column with values as its own type writes them: a `Date` with what it makes of a datetime."""
    return column.in_(bindparam(None, values, type_=column.type, expanding=True))


def take_write_lock(connection: Connection, table: Table) -> None:
    """Make what is read next stay true on SQLite, which has no FOR UPDATE."""
    # A read before the first write is not part of a transaction there; an update of no row begins one all the same.
    # What has an `onupdate` would be computed, too, for nothing.
    columns = [column for column in table.columns if column.primary_key or column.onupdate is not None]
    connection.execute(update(table).values({column: column for column in columns}).where(false()))
