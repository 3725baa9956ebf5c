"""Refuse an `insert()` of the ORM that leaves files out, replaces those of other rows, or copies them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Insert, Null, event
from sqlalchemy.sql.visitors import iterate

from fastapi_filestore.errors import UnsupportedStatementError
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.column.attributes import file_attributes_below
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.mapped_types import AnyMapper

ALTERNATIVES = re.compile("REPLACE |INSERT (?!INTO )")
"""The beginning of a statement that may leave rows out or replace them, as INSERT OR IGNORE does."""
REPLACING = re.compile("REPLACE |INSERT OR REPLACE ")
"""The beginning of one that may replace rows, files and all, also without a file among its values."""
UPSERTS = ("on_conflict", "on_duplicate")
"""The names of the clauses of dialects that know upserts begin with one of these."""
ON_CONFLICT_DO_NOTHING = "on_conflict_do_nothing"


def refuse_untracked(statement: Insert, mapper: AnyMapper, *, has_files: bool) -> None:
    """Refuse to insert files of other rows, or to write files into rows that may be there.

    Raises:
        UnsupportedStatementError: The statement would.
    """
    name, names = mapper.class_.__name__, names_of_files(mapper)
    targets = [getattr(target, "key", target) for target in getattr(statement, "_select_names", None) or ()]
    columns = getattr(statement.select, "selected_columns", ())
    for target, column in zip(targets, columns, strict=False):  # the database counts them
        if not isinstance(column, Null) and (isinstance(column.type, StoredObject) or target in names):
            raise UnsupportedStatementError(
                f"insert({name}).from_select() would put stored files into second rows: read the rows, give each new "
                "one `await file.copy_async()`."
            )
    for clause in iterate(statement):
        kind: str = clause.__visit_name__
        if not kind.startswith(UPSERTS):
            continue
        values = {} if kind == ON_CONFLICT_DO_NOTHING else getattr(clause, "update_values_to_set", None)
        # What it sets may be said in a way that is not known here.
        if has_files or values is None or any(getattr(column, "key", column) in names for column in dict(values)):
            raise _upsert_refusal(mapper)


def names_of_files(mapper: AnyMapper) -> set[object]:
    """Return the names of the attributes and of the columns in which rows of a class hold files."""
    return {name for attribute in file_attributes_below(mapper) for name in (attribute.name, attribute.column.key)}


@contextmanager
def checking_insert(connection: Connection, mapper: AnyMapper, files: Sequence[FileObject]) -> Iterator[None]:
    """Refuse what the block sends over a connection if it may replace rows, or leaves some of the files out."""
    refused, written = ALTERNATIVES if files else REPLACING, set[Location]()

    def check(connection: Connection, cursor: object, text: str, parameters: object, *rest: Any) -> None:
        if refused.match(text):  # a prefix is seen in the text alone
            raise _upsert_refusal(mapper)
        compiled, rows = rest[0].compiled, rest[0].compiled_parameters
        for name, bind in compiled.binds.items() if files and compiled is not None else ():
            if isinstance(bind.type, StoredObject):
                written.update(file.location for row in rows for file in bind.type.files(row.get(name)))

    event.listen(connection, "before_cursor_execute", check)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", check)
    if left := next((file for file in files if file.location not in written), None):
        raise UnsupportedStatementError(
            f"insert({mapper.class_.__name__}) would leave {left.filename!r} out: of a class, name its attributes; "
            "of a table, its columns, and give every row the same ones."
        )


def _upsert_refusal(mapper: AnyMapper) -> UnsupportedStatementError:
    return UnsupportedStatementError(
        f"insert({mapper.class_.__name__}) with ON CONFLICT, OR REPLACE or IGNORE doesn't tell which files it replaces "
        "or leaves out: look the row up and add or change it through the session."
    )
