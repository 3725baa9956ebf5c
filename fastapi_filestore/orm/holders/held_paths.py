"""Ask for files in JSON by SQL: the path and the backend of a file in a column, and the rows whose columns hold some.

The expressions have no parameters, so that an index on them serves every question: see `index=True` of `StoredObject`.
"""

import json
from collections.abc import Sequence

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Dialect,
    SelectBase,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object.record import odd_spellings, spellings
from fastapi_filestore.orm.column.comparison import backend_of_file, path_of_file
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.mapped_types import AnyColumn, AnyExpression

FEW_PATHS = 20
"""Paths that are looked for one by one in lists, as an index can; more are compared with every file of a table."""


class file_path(FunctionElement[str]):  # noqa: N801 - a SQL function is written like one
    """The path of the file in a column of one file, which may be a list of one."""

    type = Text()
    inherit_cache = True


class file_backend(FunctionElement[str]):  # noqa: N801 - as above
    """The key of the backend of the file in a column of one file; NULL if it names none."""

    type = Text()
    inherit_cache = True


@compiles(file_path, "postgresql")
def _path_on_postgresql(element: file_path, compiler: SQLCompiler, **options: object) -> str:
    file = compiler.process(element.clauses, **options)
    # With the parentheses that PostgreSQL writes, for Alembic compares the texts.
    return (
        f"COALESCE(NULLIF({file} ->> 'path', ''), {file} ->> 'filename', "
        f"NULLIF(({file} -> 0) ->> 'path', ''), ({file} -> 0) ->> 'filename')"
    )


@compiles(file_backend, "postgresql")
def _backend_on_postgresql(element: file_backend, compiler: SQLCompiler, **options: object) -> str:
    file = compiler.process(element.clauses, **options)
    return f"COALESCE(NULLIF({file} ->> 'backend', ''), NULLIF({file} -> 0 ->> 'backend', ''))"


@compiles(file_path, "sqlite")
def _path_on_sqlite(element: file_path, compiler: SQLCompiler, **options: object) -> str:
    file = compiler.process(element.clauses, **options)
    members = (_member(file, "$.path"), _extract(file, "$.filename"), _member(file, "$[0].path"))
    return f"CASE WHEN json_valid({file}) THEN coalesce({', '.join(members)}, {_extract(file, '$[0].filename')}) END"


@compiles(file_backend, "sqlite")
def _backend_on_sqlite(element: file_backend, compiler: SQLCompiler, **options: object) -> str:
    file = compiler.process(element.clauses, **options)
    members = (_member(file, "$.backend"), _member(file, "$[0].backend"))
    return f"CASE WHEN json_valid({file}) THEN coalesce({', '.join(members)}) END"


def _member(file: str, path: str) -> str:
    return f"nullif({_extract(file, path)}, '')"


def _extract(file: str, path: str) -> str:
    return f"json_extract({file}, '{path}')"


def rows_holding(
    dialect: Dialect, file_column: AnyColumn, default: str | None, paths: Sequence[str], *, or_odd: bool = False
) -> SelectBase:
    """Return a query for the backend and the path of each of some paths in a row's column, as the rows spell them.

    `default` is the key of the backend of files that name none. With `or_odd` paths are asked for, too, that a store
    may read as some of these. An index serves only a few of them, so of a column with one the others are left out.
    """
    assert isinstance(file_column.type, StoredObject), "only columns that hold files are asked"
    few_odd = or_odd and file_column.type.index and len(paths) <= FEW_PATHS
    or_odd = or_odd and not file_column.type.index
    if dialect.name not in {"postgresql", "sqlite"}:
        if file_column.type.multiple:
            raise ConfigurationError(
                f"{file_column} holds lists of files, which can be looked into on PostgreSQL and SQLite only, not on "
                f"{dialect.name}: hold one file a row."
            )
        file = type_coerce(file_column, JSON)
        path, backend = path_of_file(file), backend_of_file(file, default)
    elif not file_column.type.multiple:
        # Bare, so that it is the expression of the index.
        path, backend = file_path(file_column), func.coalesce(file_backend(file_column), default)
    else:
        return _lists_holding(dialect, file_column, default, paths, or_odd=or_odd)
    spelled = [*paths, *(spelling for key in paths for spelling in odd_spellings(key))] if few_odd else paths
    return select(backend.label("backend"), path.label("path")).where(_is_one_of(path, spelled, or_odd=or_odd))


def _is_one_of(path: ColumnElement[str], paths: Sequence[str], *, or_odd: bool) -> ColumnElement[bool]:
    """Compare a path with some, as rows spell them; with `or_odd`, with what stores may read as one of them, too."""
    is_spelled = path.in_([spelling for wanted in paths for spelling in spellings(wanted)])
    if not or_odd:
        return is_spelled
    names = {wanted.replace("\\", "/").rpartition("/")[2] for wanted in paths} if len(paths) <= FEW_PATHS else ()
    has_name = or_(*(path.contains(name, autoescape=True, escape="!") for name in names)) if names else true()
    # Of such paths stores may make others: see `forms_in_stores`.
    parts = literal("/", Text) + path + literal("/", Text)
    odd = (parts.contains(part, autoescape=True, escape="!") for part in ("//", "/./", "/../"))
    return or_(is_spelled, and_(has_name, or_(path.contains("\\", autoescape=True, escape="!"), *odd)))


def _lists_holding(
    dialect: Dialect, file_column: AnyColumn, default: str | None, paths: Sequence[str], *, or_odd: bool
) -> SelectBase:
    """Return the query of `rows_holding` for a column of lists, where what is no list counts as a list of one."""
    file: AnyExpression
    is_postgresql = dialect.name == "postgresql"
    if is_postgresql:  # in the lax mode of its path
        elements = func.jsonb_path_query(cast(file_column, JSONB), literal_column("'$[*]'"))
        file = elements.table_valued(column("value", JSONB), joins_implicitly=True).render_derived().c.value
    else:
        text = cast(file_column, Text)
        is_list = func.json_type(text) == "array"
        # NULL for what is no JSON, which SQLite would stop at.
        files = case((func.json_valid(text) == 0, null()), (is_list, text), else_=func.json_array(func.json(text)))
        rows = func.json_each(files).table_valued(column("value", JSON), column("type"), joins_implicitly=True).c
        file = type_coerce(case((rows.type == "object", rows.value)), JSON)
    path, backend = path_of_file(file), backend_of_file(file, default)
    key = file_column.table.primary_key  # a file that is twice in one list is in one place
    query = select(*key, backend.label("backend"), path.label("path")).select_from(file_column.table)
    query = query.where(_is_one_of(path, paths, or_odd=or_odd))
    if is_postgresql and len(paths) <= FEW_PATHS and not or_odd:
        # What a list contains, or the lone file where a list belongs. Of members, nothing but a filename of
        # advanced-alchemy's has a slash around it.
        members = [{"path": path} for path in paths]
        members += [{"filename": spelling} for path in paths for spelling in spellings(path)]
        probes = bindparam(None, [json.dumps(probe) for file in members for probe in ([file], file)], type_=ARRAY(Text))
        query = query.where(cast(file_column, JSONB).bool_op("@>")(any_(cast(probes, ARRAY(JSONB)))))
    found = query.distinct().subquery()
    return select(found.c.backend, found.c.path)
