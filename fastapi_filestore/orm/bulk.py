"""Bulk statements of the ORM: `insert()`, `update()` and `delete()` of rows that hold files.

What an update replaces, and what a delete takes along, is read under a lock before the statement and compared with what
the rows hold after it, so that any expression is understood.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from sqlalchemy import BindParameter, Delete, Insert, Result, Update, select
from sqlalchemy.orm import Mapper, ORMExecuteState
from sqlalchemy.sql.visitors import iterate

from fastapi_filestore.errors import UnsupportedStatementError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.binds import writing_connection
from fastapi_filestore.orm.booking import book_changes, store_files
from fastapi_filestore.orm.file_attributes import file_attributes, stored_files
from fastapi_filestore.orm.stored_object import StoredObject

UPSERTS = ("on_conflict", "on_duplicate")
"""How the clauses of the dialects that know upserts are called."""


def track_bulk(state: ORMExecuteState) -> Result[Any] | None:
    """Run a bulk statement on rows with files, its bytes and bookkeeping around it; None for any other statement."""
    mapper = state.bind_mapper
    if mapper is None or not file_attributes(mapper):
        return None
    if state.is_insert:
        return _insert(state, mapper)
    return _change(state, mapper) if state.is_update or state.is_delete else None


def _insert(state: ORMExecuteState, mapper: Mapper[Any]) -> Result[Any]:
    statement = cast("Insert", state.statement)
    _refuse_untracked(statement, mapper)
    files = list(_given_files(state, mapper))
    if files:
        store_files(state.session, {mapper: files})
        book_changes(state.session, mapper, [([], [file]) for file in files])
    return state.invoke_statement()


def _refuse_untracked(statement: Insert, mapper: Mapper[Any]) -> None:
    name = mapper.class_.__name__
    if statement.select is not None and _selects_files(statement.select):
        raise UnsupportedStatementError(
            f"insert({name}).from_select() would put stored files into second rows: read the rows, give each new one "
            "`await file.copy_async()`."
        )
    if any(element.__visit_name__.startswith(UPSERTS) for element in iterate(statement)):
        raise UnsupportedStatementError(
            f"insert({name}) with ON CONFLICT doesn't tell which files it replaces or leaves out: look the row up and "
            "add or change it through the session."
        )


def _selects_files(query: Any) -> bool:
    return any(isinstance(column.type, StoredObject) for column in query.selected_columns)


def _change(state: ORMExecuteState, mapper: Mapper[Any]) -> Result[Any]:
    session, statement = state.session, cast("Update | Delete", state.statement)
    if state.is_update and (files := list(_given_files(state, mapper))):
        store_files(session, {mapper: files})
    before = stored_files(session, mapper, _identities(state, statement, mapper))
    result = _complete(state.invoke_statement())
    after = stored_files(session, mapper, list(before))
    if state.is_update and before.keys() != after.keys():
        raise UnsupportedStatementError(
            f"update({mapper.class_.__name__}) changed primary keys of rows that hold files: change them one by one."
        )
    book_changes(
        session,
        mapper,
        [
            (files, after.get(identity, {}).get(name, []))
            for identity, held in before.items()
            for name, files in held.items()
        ],
    )
    return result


def _identities(state: ORMExecuteState, statement: Update | Delete, mapper: Mapper[Any]) -> list[tuple[Any, ...]]:
    """Return the primary keys of the rows that a statement is about."""
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    if isinstance(state.parameters, list):
        return [tuple(row[key] for key in keys) for row in state.parameters]
    query = select(*(getattr(mapper.class_, key) for key in keys))
    if statement.whereclause is not None:
        query = query.where(statement.whereclause)
    if state.session.autoflush:
        state.session.flush()
    # Over the connection of the statement itself: a session may read from a replica, which lags behind.
    rows = writing_connection(state.session, mapper).execute(query, state.parameters)
    return [tuple(row) for row in rows]


def _given_files(state: ORMExecuteState, mapper: Mapper[Any]) -> Iterator[FileObject]:
    """Yield the files among a statement's values, each with its backend chosen."""
    for bind in _literals(state):
        if isinstance(bind.type, StoredObject) and bind.value is not None:
            yield from bind.type.files(bind.value)
    for row in _rows(state.parameters):
        for attribute in file_attributes(mapper):
            yield from attribute.type.files(row.get(attribute.name))


def _literals(state: ORMExecuteState) -> Iterable[BindParameter[Any]]:
    statement: Any = state.statement
    if state.parameters:
        # Compiled only with the parameters it comes with; its own values can be walked.
        return (element for element in iterate(statement) if isinstance(element, BindParameter))
    binds: Mapping[BindParameter[Any], str] = statement.compile().bind_names
    return binds


def _rows(parameters: Any) -> Iterable[Mapping[str, Any]]:
    return parameters if isinstance(parameters, list) else [parameters or {}]


def _complete(result: Result[Any]) -> Result[Any]:
    # What RETURNING yields is read before the next statement goes over the same connection.
    return result.freeze()() if getattr(result, "returns_rows", True) else result
