"""What an `insert()` of the ORM may not do with files: leave them out, replace those of other rows, copy them."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Insert, Null, event
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.visitors import iterate

from fastapi_filestore.errors import UnsupportedStatementError
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.column.attributes import file_attributes_below
from fastapi_filestore.orm.column.stored_object import StoredObject

ALTERNATIVES = re.compile("REPLACE |INSERT (?!INTO )")
"""How a statement begins that may leave rows out or replace them, as INSERT OR IGNORE does."""
REPLACING = re.compile("REPLACE |INSERT OR REPLACE ")
"""How one begins that may replace rows, files and all, also without a file among its values."""
UPSERTS = ("on_conflict", "on_duplicate")
"""How the clauses of the dialects that know upserts are called."""
ON_CONFLICT_DO_NOTHING = "on_conflict_do_nothing"


def refuse_untracked(statement: Insert, mapper: Mapper[Any], *, has_files: bool) -> None:
    """Refuse to insert files of other rows, or to write files into rows that may be there.

    Raises:
        UnsupportedStatementError: The statement would.
    """
    name = mapper.class_.__name__
    if statement.select is not None and _selects_files(statement, mapper):
        raise UnsupportedStatementError(
            f"insert({name}).from_select() would put stored files into second rows: read the rows, give each new one "
            "`await file.copy_async()`."
        )
    names = names_of_files(mapper)
    for clause in iterate(statement):
        kind: str = clause.__visit_name__
        if not kind.startswith(UPSERTS):
            continue
        values = {} if kind == ON_CONFLICT_DO_NOTHING else getattr(clause, "update_values_to_set", None)
        # What it sets may be said in a way that is not known here.
        if has_files or values is None or any(getattr(column, "key", column) in names for column in dict(values)):
            raise UnsupportedStatementError(_upsert_refusal(mapper))


@contextmanager
def refused_alternatives(connection: Connection, mapper: Mapper[Any], refused: "re.Pattern[str]") -> Iterator[None]:
    """Refuse what the block sends over a connection if it begins in a way that is refused."""

    # A prefix is seen in the text alone.
    def refuse(*call: Any) -> None:
        if refused.match(call[2]):
            raise UnsupportedStatementError(_upsert_refusal(mapper))

    with _heard(connection, refuse):
        yield


@contextmanager
def _heard(connection: Connection, hear: Callable[..., None]) -> Iterator[None]:
    """Tell a function of every statement that the block sends over a connection, just before."""
    event.listen(connection, "before_cursor_execute", hear)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", hear)


def _upsert_refusal(mapper: Mapper[Any]) -> str:
    return (
        f"insert({mapper.class_.__name__}) with ON CONFLICT, OR REPLACE or IGNORE doesn't tell which files it replaces "
        "or leaves out: look the row up and add or change it through the session."
    )


def _selects_files(statement: Insert, mapper: Mapper[Any]) -> bool:
    """Tell whether a select gives files, by its own types or by the columns that they are for, to the rows it makes."""
    query: Any = statement.select
    names = names_of_files(mapper)
    targets = [getattr(target, "key", target) for target in getattr(statement, "_select_names", None) or ()]
    return any(
        not isinstance(column, Null) and (isinstance(column.type, StoredObject) or target in names)
        for target, column in zip(targets, query.selected_columns, strict=False)  # the database counts them
    )


def names_of_files(mapper: Mapper[Any]) -> set[Any]:
    """Return the names of the attributes and of the columns in which rows of a class hold files."""
    return {name for each in file_attributes_below(mapper) for name in (each.name, each.column.key)}


@contextmanager
def none_left_out(connection: Connection, mapper: Mapper[Any], files: Sequence[FileObject]) -> Iterator[None]:
    """Refuse a statement that does not write all of the files it was given."""
    written = set[Location]()

    def note(*call: Any) -> None:
        compiled, rows = call[4].compiled, call[4].compiled_parameters
        for name, bind in compiled.binds.items() if compiled is not None else ():
            if isinstance(bind.type, StoredObject):
                written.update(file.location for row in rows for file in bind.type.files(row.get(name)))

    with _heard(connection, note):
        yield
    if left := next((file for file in files if file.location not in written), None):
        raise UnsupportedStatementError(
            f"insert({mapper.class_.__name__}) would leave {left.filename!r} out: of a class, name its attributes; "
            "of a table, its columns, and give every row the same ones."
        )
