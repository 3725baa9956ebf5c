"""Compare file columns in SQL: by place, as two `FileObject`s are compared, not by all that a row says of a file."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Protocol, TypeGuard, cast

from sqlalchemy import JSON, BinaryExpression, ColumnElement, and_, false, func, not_, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ClauseElement, Grouping
from sqlalchemy.sql.operators import (
    OperatorType,
    eq,
    in_op,
    is_distinct_from,
    is_not_distinct_from,
    json_getitem_op,
    json_path_getitem_op,
    ne,
    not_in_op,
)
from sqlalchemy.types import TypeDecorator

from fastapi_filestore.errors import PendingContentError, UnsupportedStatementError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.record import spellings
from fastapi_filestore.orm.mapped_types import AnyExpression
from fastapi_filestore.storage.registry import StorageRegistry


class FileColumn(Protocol):
    """The type of a column that holds files, as a comparison needs it."""

    backend: str | None
    multiple: bool
    registry: StorageRegistry


Condition = ColumnElement[bool]


def path_of_file(file: AnyExpression) -> AnyExpression:
    """Return the path of a file in SQL; rows of advanced-alchemy have none but the filename."""
    return func.coalesce(func.nullif(_member(file, "path"), ""), _member(file, "filename"))


def backend_of_file(file: AnyExpression, default: str | None) -> AnyExpression:
    """Return the key of the backend of a file in SQL, a default for one that names none."""
    named = func.nullif(_member(file, "backend"), "")
    return named if default is None else func.coalesce(named, default)


def _member(file: AnyExpression, name: str) -> AnyExpression:
    # A member of JSON, whatever its column's type says.
    member: BinaryExpression[JSON] = cast("Any", file)[name]
    return cast("AnyExpression", member.as_string())


class FileComparator(TypeDecorator.Comparator[Any], JSON.Comparator[Any]):
    """Compare by `Document.file == file`, `!=` and `in_`, and give members of the JSON: `Document.file["filename"]`."""

    def operate(self, op: OperatorType, *other: object, **options: object) -> AnyExpression:
        """Compare by place where files are compared; do what JSON does everywhere else.

        Raises:
            UnsupportedStatementError: The comparison would not be by place: of lists, or by order.
            PendingContentError: A file has no place before it is stored.
        """
        value = other[0] if other else None
        if (as_clause := getattr(value, "__clause_element__", None)) is not None:
            value = as_clause()  # an attribute of a mapped class stands for its column
        if isinstance(value, ColumnElement) and hash(value) == hash(self.expr):
            # SQLAlchemy looks its columns up in dicts, whose == must tell whether two are one.
            return super().operate(op, *other, **options)
        if op in (in_op, not_in_op):
            if (condition := self._compare_with_any(op, value)) is not None:
                return condition
        elif isinstance(value, FileObject):
            return self._compare(op, value)
        elif not _is_member(self.expr) and (_is_file_column(value) or _has_files(value)):  # of another column
            return self._compare_columns(op, value)
        return super().operate(op, *other, **options)

    def _compare(self, op: OperatorType, file: FileObject) -> Condition:
        if _type_of(self.expr).multiple is not _is_member(self.expr):
            self._refuse(op)
        there, missing = self._is_at([file]), self.expr.is_(None)
        comparisons: Mapping[OperatorType, Condition] = {
            eq: there,
            ne: not_(there),
            is_distinct_from: or_(missing, not_(there)),
            is_not_distinct_from: and_(not_(missing), there),
        }
        return comparisons[op] if op in comparisons else self._refuse(op)

    def _compare_columns(self, op: OperatorType, other: object) -> Condition:
        if op not in (eq, ne) or not _is_file_column(other):
            self._refuse(op)
        if _type_of(self.expr).multiple or _type_of(other).multiple:
            return RefusedColumns(super().operate(op, other), is_alike=op is ne, refusal=self._refusal(op))
        same = and_(
            backend_of_file(self.expr, _default_of(self.expr)) == backend_of_file(other, _default_of(other)),
            func.trim(path_of_file(self.expr), "/") == func.trim(path_of_file(other), "/"),
        )
        return ComparedColumns(same if op is eq else not_(same), is_alike=op is ne)

    def _compare_with_any(self, op: OperatorType, values: object) -> Condition | None:
        """Return whether a file is one of several; None if these are no files, as the members of a file's JSON."""
        is_member = _is_member(self.expr)
        if is_member and not _has_files(values):
            return None
        if isinstance(values, ClauseElement | str) or not isinstance(values, Iterable):
            self._refuse(op)
        files = list(values)
        if _type_of(self.expr).multiple is not is_member or not all(isinstance(file, FileObject) for file in files):
            self._refuse(op)
        condition = self._is_at(files) if files else false()
        return not_(condition) if op is not_in_op else condition

    def _is_at(self, files: Iterable[FileObject]) -> Condition:
        default = _default_of(self.expr)
        paths: dict[str | None, list[str]] = {}
        for file in files:
            if not file.is_stored and file.path is None:
                raise PendingContentError(
                    f"{file.filename!r} can't be compared with {self.expr}: {file.state.value}. It has no place yet: "
                    "`await file.save_async()` first."
                )
            paths.setdefault(file.backend or default, []).extend(spellings(str(file.path)))
        backend, path = backend_of_file(self.expr, default), path_of_file(self.expr)
        return or_(*(and_(backend == key, path.in_(spelled)) for key, spelled in paths.items()))

    def _refuse(self, op: OperatorType) -> NoReturn:
        raise UnsupportedStatementError(self._refusal(op))

    def _refusal(self, op: OperatorType) -> str:
        what = "holds a list of files" if _type_of(self.expr).multiple else "holds a file"
        return (
            f"{self.expr} {what}, which {op.__name__} does not compare by place: a column of one file has == and != "
            "with a file or another such column, in_() with files, and is_(None); a list has `column[0] == file`."
        )


class ComparedColumns(Grouping[bool]):
    """A comparison of two columns in SQL; in Python, where SQLAlchemy looks for a column in a list, two are not one."""

    inherit_cache = True

    def __init__(self, comparison: Condition, *, is_alike: bool) -> None:
        super().__init__(comparison)
        self.is_alike = is_alike

    def __bool__(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]  # as its comparisons of columns do
        return self.is_alike


class RefusedColumns(ComparedColumns):
    """A comparison of columns that is no comparison by place: it can't be sent to a database."""

    inherit_cache = False

    def __init__(self, comparison: Condition, *, is_alike: bool, refusal: str) -> None:
        super().__init__(comparison, is_alike=is_alike)
        self.refusal = refusal


@compiles(RefusedColumns)
def _refuse_columns(comparison: RefusedColumns, compiler: object, **options: object) -> NoReturn:
    raise UnsupportedStatementError(comparison.refusal)


def _is_member(expression: AnyExpression) -> bool:
    """Tell whether an expression is a member of a file's JSON, or one file of a list."""
    operator = expression.operator if isinstance(expression, BinaryExpression) else None
    return operator in (json_getitem_op, json_path_getitem_op)


def _is_file_column(value: object) -> TypeGuard[AnyExpression]:
    return isinstance(value, ColumnElement) and isinstance(value.comparator, FileComparator) and not _is_member(value)


def _has_files(values: object) -> bool:
    return isinstance(values, list | tuple | set | frozenset) and any(isinstance(value, FileObject) for value in values)


def _type_of(column: AnyExpression) -> FileColumn:
    return cast("FileColumn", column.type)


def _default_of(column: AnyExpression) -> str | None:
    column_type = _type_of(column)
    return column_type.backend or column_type.registry.default_key
