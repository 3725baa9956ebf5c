"""Track bulk statements of the ORM: `insert()`, `update()` and `delete()` of rows that hold files.

What an update replaces, and what a delete takes along, is read under a lock before the statement and compared with what
the rows hold after it, so that any expression is understood. The statement is held to the rows that were read: asked a
second time, its condition may find others.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

from sqlalchemy import BindParameter, ColumnElement, Delete, Insert, Result, Table, Update, select, tuple_
from sqlalchemy.orm import FromStatement, ORMExecuteState
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import NullType

from fastapi_filestore.errors import StaleRowError, UnsupportedStatementError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.attributes import (
    FileAttribute,
    HeldFiles,
    columns_in_database,
    file_attributes_below,
    has_file_columns,
    mapper_of_table,
    stored_files,
)
from fastapi_filestore.orm.column.row_values import values_in
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.column.table_rows import is_one_of, key_in, table_of, take_write_lock
from fastapi_filestore.orm.holders.holders import find_left_behind
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import writing_bind, writing_connection
from fastapi_filestore.orm.unit_of_work.changes import files_in
from fastapi_filestore.orm.unit_of_work.entries import enter_changes, settle_intents, store_bytes
from fastapi_filestore.orm.unit_of_work.flush import Identity, is_flushing, refuse_rows_in_flush
from fastapi_filestore.orm.unit_of_work.inserts import checking_insert, names_of_files, refuse_untracked
from fastapi_filestore.orm.unit_of_work.sharing import settle
from fastapi_filestore.orm.unit_of_work.state import state_of

LOOKS = 4
"""Looks for rows that come and go; a condition with `random()` finds others each time."""
MOST_PARAMETERS = 10_000
"""Values in one condition: below every database's limit. A statement about more rows is believed to find them again."""

AnyResult: TypeAlias = Result[Any]


@dataclass(frozen=True, slots=True)
class Bulk:
    """A statement about rows of a class, with the rows of parameters that it is executed with."""

    state: ORMExecuteState
    statement: Insert | Update | Delete
    mapper: AnyMapper
    rows: Sequence[Mapping[str, object]]

    @property
    def condition(self) -> ColumnElement[bool] | None:
        """Condition of an update or a delete; None if it is about all rows."""
        return None if isinstance(self.statement, Insert) else self.statement.whereclause


def track_bulk(state: ORMExecuteState) -> AnyResult | None:
    """Run a bulk statement on rows with files, and enter in the journal what it does; None for any other statement."""
    if not (state.is_insert or state.is_update or state.is_delete):
        return None
    statement: Any = state.statement
    while not isinstance(statement, Insert | Update | Delete):  # one that a lambda makes, or that from_statement reads
        statement = statement.element if isinstance(statement, FromStatement) else statement._resolved  # noqa: SLF001
    mapper = state.bind_mapper or mapper_of_table(statement.table)
    if mapper is None or not (has_file_columns(mapper) if state.is_delete else file_attributes_below(mapper)):
        return None
    parameters: Any = state.parameters or {}
    rows = parameters if isinstance(parameters, list) else [parameters]
    bulk = Bulk(state, statement, mapper, rows)
    return _insert(bulk, statement) if isinstance(statement, Insert) else _change(bulk)


def _insert(bulk: Bulk, statement: Insert) -> AnyResult:
    session, mapper, files = bulk.state.session, bulk.mapper, list(_given_files(bulk))
    refuse_untracked(statement, mapper, has_files=bool(files))
    if not files:
        with checking_insert(writing_connection(session, mapper), mapper, files):
            return _execute(bulk.state, statement)
    store_bytes(session, {mapper: files})
    with _all_or_nothing(bulk):
        settle_intents(session, {mapper: files})
        enter_changes(session, {mapper: [([], [file]) for file in files]})
        with checking_insert(writing_connection(session, mapper), mapper, files):
            return _execute(bulk.state, statement)


@contextmanager
def _all_or_nothing(bulk: Bulk) -> Iterator[None]:
    """Undo what the block wrote and entered if it raises: whoever catches the error may commit what else there is."""
    session = bulk.state.session
    if session.autoflush and not is_flushing(session):  # as the statement would, but what is flushed must stay
        session.flush()
    connection = writing_connection(session, bulk.mapper)
    if connection.dialect.name == "sqlite":
        take_write_lock(connection, table_of(bulk.mapper))  # a savepoint outside of a transaction would be one itself
    with connection.begin_nested():  # with which its journals are undone
        yield
        if state_of(session).is_committing:  # nobody else asks after a change that comes so late
            settle(session)


def _change(bulk: Bulk) -> AnyResult:
    state, session, mapper = bulk.state, bulk.state.session, bulk.mapper
    attributes = columns_in_database(session, mapper) if state.is_delete else file_attributes_below(mapper)
    files = list(_given_files(bulk)) if state.is_update else []
    if files:
        store_bytes(session, {mapper: files})
    with _all_or_nothing(bulk):
        settle_intents(session, {mapper: files})
        identities, before = _lock_rows(bulk, attributes)
        refuse_rows_in_flush(session, mapper, before.keys())
        # A row whose key does not come back as it was given can't be told by its key here.
        is_known = before.keys() <= set(identities) and bool(before or not identities)
        is_confined = is_known and not isinstance(state.parameters, list)
        result = _execute(state, _confine(bulk, identities) if is_confined else bulk.statement)
        others = [identity for identity in identities if state.is_update and identity not in before]
        after = stored_files(session, mapper, [*before, *others], attributes)
        if state.is_update and after.keys() - before.keys():
            raise StaleRowError(mapper.class_.__name__)  # it was gone, and another transaction added it again
        if state.is_update and before.keys() - after.keys():
            raise UnsupportedStatementError(
                f"update({mapper.class_.__name__}) would change primary keys of rows that hold files: change them one "
                "by one."
            )
        left = find_left_behind(session, mapper, before, after)
        changes = [
            (files, after.get(identity, {}).get(attribute, [file for file in files if file.location in left]))
            for identity, held in before.items()
            for attribute, files in held.items()
        ]
        enter_changes(session, {mapper: changes})
    return result


def _lock_rows(bulk: Bulk, attributes: Sequence[FileAttribute]) -> tuple[Sequence[Identity], dict[Identity, HeldFiles]]:
    """Lock the rows that a statement is about; return their primary keys, and what those hold that have files."""
    session, mapper, keys = bulk.state.session, bulk.mapper, _names_of_keys(bulk.mapper)
    is_list = bulk.condition is None and isinstance(bulk.state.parameters, list)
    if is_list and all(key in row for row in bulk.rows for key in keys):  # rows to be updated by primary key
        identities = [tuple(row[key] for key in keys) for row in bulk.rows]
        return identities, stored_files(session, mapper, identities, attributes)
    # Over the connection of the statement itself: a session may read from a replica, which lags behind.
    connection, query = writing_connection(session, mapper), _rows_of(bulk)
    if connection.dialect.name == "postgresql" and _is_of_one_table(query):
        # What somebody else changes meanwhile is looked at again; rows are locked in the order of their keys.
        query = query.order_by(*query.selected_columns).with_for_update()
    identities, before = [], dict[Identity, HeldFiles]()
    for _ in range(LOOKS):
        found: list[Identity] = [tuple(row) for values in bulk.rows for row in connection.execute(query, values)]
        held = stored_files(session, mapper, found, attributes)
        is_as_before = set(found) == set(identities) and held.keys() == before.keys()
        identities, before = found, held
        # Some are gone since, and may be added again; or they have no row in a table with files, and are as before.
        if is_as_before or set(identities) <= before.keys():
            break
    return identities, before


def _names_of_keys(mapper: AnyMapper) -> list[str]:
    return [mapper.get_property_by_column(column).key for column in mapper.primary_key]


def _rows_of(bulk: Bulk) -> Any:
    """Return the query for the primary keys of the rows that a statement is about."""
    # A statement on a table says nothing of the class, which may be read from others as well.
    parts = key_in(bulk.mapper, cast("Table", bulk.statement.table)) if bulk.state.bind_mapper is None else ()
    key = [column for _, column in parts]
    if len(key) < len(bulk.mapper.primary_key):
        key = [getattr(bulk.mapper.class_, name) for name in _names_of_keys(bulk.mapper)]
    query: Any = select(*key)
    return query if bulk.condition is None else query.where(bulk.condition)


def _is_of_one_table(query: Any) -> bool:
    sources = query.get_final_froms()
    return len(sources) == 1 and isinstance(sources[0], Table)


def _confine(bulk: Bulk, identities: Sequence[Identity]) -> Update | Delete:
    """Hold a statement to the rows that were found."""
    mapper, statement = bulk.mapper, cast("Update | Delete", bulk.statement)
    parts = key_in(mapper, cast("Table", statement.table))
    if len(parts) < len(mapper.primary_key) or len(identities) * len(parts) > MOST_PARAMETERS:
        return statement
    key = [column for _, column in parts]
    # Of a class by its attributes, so that SQLAlchemy finds the rows in the session, too; of a table by its columns.
    for position, column in enumerate(key) if bulk.state.bind_mapper is not None else ():
        if column in mapper.columns.values():
            attribute = getattr(mapper.class_, mapper.get_property_by_column(column).key)
            if attribute.property.columns[0] is column:  # else a statement would not write that column for it
                key[position] = attribute
    found = is_one_of(key[0], [part for (part,) in identities]) if len(key) == 1 else tuple_(*key).in_(identities)
    confined = statement.where(found)
    # A condition may have parameters of its own, or join what it is set to.
    if not bulk.state.parameters and _is_of_one_table(_rows_of(bulk)):
        cast("Any", confined)._where_criteria = (found,)  # noqa: SLF001 - no other way to take a condition off
    return confined


def _given_files(bulk: Bulk) -> Iterator[FileObject]:
    """Yield the files among a statement's values, each with its backend chosen."""
    statement, mapper, attributes = bulk.statement, bulk.mapper, file_attributes_below(bulk.mapper)
    name, kind = mapper.class_.__name__, statement.__visit_name__
    binds: Mapping[BindParameter[Any], str]
    if bulk.state.parameters:
        # Compiled only with the parameters it comes with; its own values can be walked.
        binds = {element: element.key for element in iterate(statement) if isinstance(element, BindParameter)}
    else:
        compiled = statement.compile(dialect=writing_bind(bulk.state.session, mapper).dialect)
        binds = compiled.bind_names
    literals = {name: bind.value for bind, name in binds.items()}
    for bind in binds:
        if isinstance(bind.type, StoredObject):
            yield from bind.type.files(bind.value, of=partial(values_in, statement, mapper, literals))
        elif isinstance(bind.type, NullType) and (untyped := files_in(bind.value)):  # as one of the values of `case()`
            raise UnsupportedStatementError(
                f"{kind}({name}) has {untyped[0].filename!r} in an expression without a type: say that it is a file, "
                f"as `literal(file, {name}.{attributes[0].name}.type)` does."
            )
    _refuse_unknown_names(bulk)
    for row in bulk.rows:
        for attribute in attributes:
            value = row.get(attribute.name, row.get(str(attribute.column.key)))
            yield from attribute.type.files(value, of=partial(values_in, statement, mapper, row))


def _refuse_unknown_names(bulk: Bulk) -> None:
    """Refuse a file under a name that SQLAlchemy would pass over."""
    attributes = file_attributes_below(bulk.mapper)
    if isinstance(bulk.statement, Insert):  # which says itself what it does not write
        names = names_of_files(bulk.mapper)
    elif bulk.state.bind_mapper is None:
        names = {attribute.column.key for attribute in attributes}
    else:
        names = {attribute.name for attribute in attributes}
    names |= {element.key for element in iterate(bulk.statement) if isinstance(element, BindParameter)}
    for name, value in (item for row in bulk.rows for item in row.items()):
        if name not in names and files_in(value):
            known = ", ".join(sorted(attribute.name for attribute in attributes))
            raise UnsupportedStatementError(
                f"{bulk.statement.__visit_name__}({bulk.mapper.class_.__name__}) has a file under {name!r}, which "
                f"SQLAlchemy would pass over: the attributes that hold files are {known}."
            )


def _execute(state: ORMExecuteState, statement: Insert | Update | Delete) -> AnyResult:
    """Execute a statement in place of the one that the session was given."""
    whole: Any = statement
    if isinstance(state.statement, FromStatement):
        whole = cast("Any", state.statement)._generate()  # noqa: SLF001 - a copy without what it was compiled to
        whole.element = statement
    # What RETURNING yields is read before the next statement goes over the same connection.
    result = state.invoke_statement(statement=whole)
    return result.freeze()() if len(statement.exported_columns) else result
