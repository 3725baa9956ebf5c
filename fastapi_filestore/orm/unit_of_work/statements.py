"""Bulk statements of the ORM: `insert()`, `update()` and `delete()` of rows that hold files.

What an update replaces, and what a delete takes along, is read under a lock before the statement and compared with what
the rows hold after it, so that any expression is understood. The statement is held to the rows that were read: asked a
second time, its condition may find others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    Column,
    Delete,
    Insert,
    Result,
    Table,
    Update,
    select,
    tuple_,
)
from sqlalchemy.orm import FromStatement, Mapper, ORMExecuteState, Session
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
    is_one_of,
    mapper_of_table,
    stored_files,
    take_write_lock,
)
from fastapi_filestore.orm.column.row_values import values_in
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.column.table_rows import key_in, table_of
from fastapi_filestore.orm.holders.holders import left_behind
from fastapi_filestore.orm.sessions import writing_bind, writing_connection
from fastapi_filestore.orm.unit_of_work.changes import files_in
from fastapi_filestore.orm.unit_of_work.entries import enter_changes, settle_intents, store_bytes
from fastapi_filestore.orm.unit_of_work.flush import is_flushing, refuse_rows_in_flush
from fastapi_filestore.orm.unit_of_work.inserts import (
    ALTERNATIVES,
    REPLACING,
    names_of_files,
    none_left_out,
    refuse_untracked,
    refused_alternatives,
)
from fastapi_filestore.orm.unit_of_work.sharing import settle_late_changes

Identity = tuple[Any, ...]
LOOKS = 3
"""How often rows that come and go are looked for again; a condition with `random()` finds others each time."""
MOST_PARAMETERS = 10_000
"""Values in one condition: below every database's limit. A statement about more rows is believed to find them again."""


def track_bulk(state: ORMExecuteState) -> Result[Any] | None:
    """Run a bulk statement on rows with files, and enter in the journal what it does; None for any other statement."""
    if not (state.is_insert or state.is_update or state.is_delete):
        return None
    statement: Any = state.statement
    while not isinstance(statement, Insert | Update | Delete):  # one that a lambda makes, or that from_statement reads
        statement = statement.element if isinstance(statement, FromStatement) else statement._resolved  # noqa: SLF001
    mapper = state.bind_mapper or mapper_of_table(statement.table)
    if mapper is None or not (has_file_columns(mapper) if state.is_delete else file_attributes_below(mapper)):
        return None
    if isinstance(statement, Insert):
        return _insert(state, statement, mapper)
    return _change(state, statement, mapper)


def _insert(state: ORMExecuteState, statement: Insert, mapper: Mapper[Any]) -> Result[Any] | None:
    files = list(_given_files(state, statement, mapper))
    refuse_untracked(statement, mapper, has_files=bool(files))
    if not files:
        with refused_alternatives(writing_connection(state.session, mapper), mapper, REPLACING):
            return _completed(state, statement)
    store_bytes(state.session, {mapper: files})
    with _all_or_nothing(state.session, mapper):
        settle_intents(state.session, mapper, files)
        enter_changes(state.session, {mapper: [([], [file]) for file in files]})
        connection = writing_connection(state.session, mapper)
        with refused_alternatives(connection, mapper, ALTERNATIVES), none_left_out(connection, mapper, files):
            return _completed(state, statement)


@contextmanager
def _all_or_nothing(session: Session, mapper: Mapper[Any]) -> Iterator[None]:
    """Undo what the block wrote and entered if it raises: whoever catches the error may commit what else there is."""
    if session.autoflush and not is_flushing(session):  # as the statement would, but what is flushed must stay
        session.flush()
    connection = writing_connection(session, mapper)
    if connection.dialect.name == "sqlite":
        take_write_lock(connection, table_of(mapper))  # a savepoint outside of a transaction would be one itself
    with connection.begin_nested():  # with which its journals are undone
        yield
        settle_late_changes(session)


def _change(state: ORMExecuteState, statement: Update | Delete, mapper: Mapper[Any]) -> Result[Any]:
    session = state.session
    attributes = columns_in_database(session, mapper) if state.is_delete else file_attributes_below(mapper)
    files = list(_given_files(state, statement, mapper)) if state.is_update else []
    if files:
        store_bytes(session, {mapper: files})
    with _all_or_nothing(session, mapper):
        settle_intents(session, mapper, files)
        identities, before = _locked(state, statement, mapper, attributes)
        refuse_rows_in_flush(session, mapper, before.keys())
        # A row whose key does not come back as it was given can't be told by its key here.
        is_known = before.keys() <= set(identities) and bool(before or not identities)
        is_confined = is_known and not isinstance(state.parameters, list)
        result = _completed(state, _confined(state, statement, mapper, identities) if is_confined else statement)
        asked = [*before, *(identity for identity in identities if state.is_update and identity not in before)]
        after = stored_files(session, mapper, asked, attributes)
        if state.is_update and after.keys() - before.keys():
            raise StaleRowError(mapper.class_.__name__)  # it was gone, and another transaction added it again
        if state.is_update and before.keys() - after.keys():
            raise UnsupportedStatementError(
                f"update({mapper.class_.__name__}) would change primary keys of rows that hold files: change them one "
                "by one."
            )
        left = left_behind(session, mapper, before, after)
        changes = [
            (files, after.get(identity, {}).get(attribute, [file for file in files if file.location in left]))
            for identity, held in before.items()
            for attribute, files in held.items()
        ]
        enter_changes(session, {mapper: changes})
    return result


def _locked(
    state: ORMExecuteState, statement: Update | Delete, mapper: Mapper[Any], attributes: Sequence[FileAttribute]
) -> tuple[list[Identity], dict[Identity, HeldFiles]]:
    """Lock the rows that a statement is about; return their primary keys, and what those hold that have files."""
    identities, before = _found(state, statement, mapper, attributes)
    if _names_its_rows(state, statement, _names_of_keys(mapper)):
        return identities, before
    for _ in range(LOOKS):
        # Some are gone since, and may be added again; or they have no row in a table with files, and are as before.
        if set(identities) <= before.keys():
            break
        found = _found(state, statement, mapper, attributes)
        if set(found[0]) == set(identities) and found[1].keys() == before.keys():
            break
        identities, before = found
    return identities, before


def _found(
    state: ORMExecuteState, statement: Update | Delete, mapper: Mapper[Any], attributes: Sequence[FileAttribute]
) -> tuple[list[Identity], dict[Identity, HeldFiles]]:
    """Return the primary keys of the rows that a statement is about, and what those hold that have files."""
    keys, rows = _names_of_keys(mapper), _rows(state.parameters)
    if _names_its_rows(state, statement, keys):
        identities = [tuple(row[key] for key in keys) for row in rows]
    else:
        query = _about(state, statement, mapper)
        # Over the connection of the statement itself: a session may read from a replica, which lags behind.
        connection = writing_connection(state.session, mapper)
        if connection.dialect.name == "postgresql" and _is_of_one_table(query):
            query = query.with_for_update()  # what somebody else changes meanwhile is looked at again
        identities = [tuple(row) for parameters in rows for row in connection.execute(query, parameters)]
    return identities, stored_files(state.session, mapper, identities, attributes)


def _names_of_keys(mapper: Mapper[Any]) -> list[str]:
    return [mapper.get_property_by_column(column).key for column in mapper.primary_key]


def _names_its_rows(state: ORMExecuteState, statement: Update | Delete, keys: Sequence[str]) -> bool:
    """Tell whether a statement's parameters are rows to be updated by primary key."""
    is_list = statement.whereclause is None and isinstance(state.parameters, list)
    return is_list and all(key in row for row in _rows(state.parameters) for key in keys)


def _about(state: ORMExecuteState, statement: Update | Delete, mapper: Mapper[Any]) -> Any:
    """Return the query for the primary keys of the rows that a statement is about."""
    parts = key_in(mapper, cast("Table", statement.table)) if state.bind_mapper is None else ()
    # A statement on a table says nothing of the class, which may be read from others as well.
    key: list[Any] = [column for _, column in parts]
    if len(key) < len(mapper.primary_key):
        key = [getattr(mapper.class_, name) for name in _names_of_keys(mapper)]
    query: Any = select(*key)
    return query if statement.whereclause is None else query.where(statement.whereclause)


def _is_of_one_table(query: Any) -> bool:
    froms = query.get_final_froms()
    return len(froms) == 1 and isinstance(froms[0], Table)


def _confined(
    state: ORMExecuteState, statement: Update | Delete, mapper: Mapper[Any], identities: Sequence[Identity]
) -> Update | Delete:
    """Hold a statement to the rows that were found."""
    parts = key_in(mapper, cast("Table", statement.table))
    if len(parts) < len(mapper.primary_key) or len(identities) * len(parts) > MOST_PARAMETERS:
        return statement
    # Of a class by its attributes, so that SQLAlchemy finds the rows in the session, too; of a table by its columns.
    key = [column if state.bind_mapper is None else _as_attribute(mapper, column) for _, column in parts]
    found = is_one_of(key[0], [one for (one,) in identities]) if len(key) == 1 else tuple_(*key).in_(identities)
    if state.parameters or not _is_of_one_table(_about(state, statement, mapper)):
        return statement.where(found)  # its condition has parameters of its own, or joins what it is set to
    once: Any = statement.where(found)
    once._where_criteria = (found,)  # noqa: SLF001 - there is no other way to take a condition off
    return cast("Update | Delete", once)


def _as_attribute(mapper: Mapper[Any], column: Column[Any]) -> Any:
    """Return the attribute of a column, if a statement would write that column for it."""
    if column not in mapper.columns.values():
        return column
    attribute = getattr(mapper.class_, mapper.get_property_by_column(column).key)
    return attribute if attribute.property.columns[0] is column else column


def _given_files(
    state: ORMExecuteState, statement: Insert | Update | Delete, mapper: Mapper[Any]
) -> Iterator[FileObject]:
    """Yield the files among a statement's values, each with its backend chosen."""
    binds = _literals(state, statement, mapper)
    literals = {name: bind.value for bind, name in binds.items()}
    for bind in binds:
        if isinstance(bind.type, StoredObject):
            yield from bind.type.files(bind.value, of=partial(values_in, statement, mapper, literals))
        elif isinstance(bind.type, NullType):
            _refuse_untyped(bind.value, statement, mapper)
    _refuse_unknown_names(state, statement, mapper)
    for row in _rows(state.parameters):
        for attribute in file_attributes_below(mapper):
            value = row.get(attribute.name, row.get(str(attribute.column.key)))
            yield from attribute.type.files(value, of=partial(values_in, statement, mapper, row))


def _refuse_untyped(value: Any, statement: Insert | Update | Delete, mapper: Mapper[Any]) -> None:
    """Refuse a file in an expression that can't tell what it is, as one of the values of `case()`."""
    values = cast("Iterable[object]", files_in(value))
    if file := next((each for each in values if isinstance(each, FileObject)), None):
        name, attribute = mapper.class_.__name__, file_attributes_below(mapper)[0].name
        raise UnsupportedStatementError(
            f"{statement.__visit_name__}({name}) has {file.filename!r} in an expression without a type: say that it is "
            f"a file, as `literal(file, {name}.{attribute}.type)` does."
        )


def _refuse_unknown_names(state: ORMExecuteState, statement: Insert | Update | Delete, mapper: Mapper[Any]) -> None:
    """Refuse a file under a name that SQLAlchemy would pass over."""
    attributes = file_attributes_below(mapper)
    if isinstance(statement, Insert):  # which says itself what it does not write
        names = names_of_files(mapper)
    else:
        names = {each.column.key if state.bind_mapper is None else each.name for each in attributes}
    names |= {element.key for element in iterate(statement) if isinstance(element, BindParameter)}
    for name, value in (item for row in _rows(state.parameters) for item in row.items()):
        if name not in names and any(isinstance(one, FileObject) for one in files_in(value)):
            known = ", ".join(sorted(each.name for each in attributes))
            raise UnsupportedStatementError(
                f"{statement.__visit_name__}({mapper.class_.__name__}) has a file under {name!r}, which "
                f"SQLAlchemy would pass over: the attributes that hold files are {known}."
            )


def _literals(
    state: ORMExecuteState, statement: Insert | Update | Delete, mapper: Mapper[Any]
) -> Mapping[BindParameter[Any], str]:
    """Return the values that a statement itself holds, each with its name."""
    if state.parameters:
        # Compiled only with the parameters it comes with; its own values can be walked.
        return {element: element.key for element in iterate(statement) if isinstance(element, BindParameter)}
    dialect = writing_bind(state.session, mapper).dialect
    compiled: Any = statement.compile(dialect=dialect)
    binds: Mapping[BindParameter[Any], str] = compiled.bind_names
    return binds


def _rows(parameters: Any) -> Iterable[Mapping[str, Any]]:
    return parameters if isinstance(parameters, list) else [parameters or {}]


def _completed(state: ORMExecuteState, statement: Insert | Update | Delete) -> Result[Any]:
    whole: Any = statement
    if isinstance(state.statement, FromStatement):
        whole = cast("Any", state.statement)._generate()  # noqa: SLF001 - a copy without what it was compiled to
        whole.element = statement
    # What RETURNING yields is read before the next statement goes over the same connection.
    result = state.invoke_statement(statement=whole)
    return result.freeze()() if len(statement.exported_columns) else result
