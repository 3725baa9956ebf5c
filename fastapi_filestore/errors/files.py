"""Name what keeps a file from being stored, held by a row, or read from it."""

from fastapi_filestore.errors.root import FilestoreError


class ContentError(FilestoreError):
    """Content that can't be stored as it was given."""


class UnsupportedContentError(ContentError, TypeError):
    """Content of a type that can't be stored."""


class NotAFileError(UnsupportedContentError):
    """A column of files was given something that is none: a mistake of the application, whatever a client sent."""


class PendingContentError(ContentError, RuntimeError):
    """A file whose bytes were never stored was about to be used as if they were."""


class ContentConsumedError(ContentError, RuntimeError):
    """Content that can be read only once was read already, so it can't be stored again."""


class InvalidRecordError(ContentError, ValueError):
    """A record that a process was given is none of a stored file; `field` says what of it is wrong, if a part is."""

    def __init__(self, field: str | None, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(
            f"The record can't be read as a file: {problem}. Give FileObject.from_record what file.to_record() "
            "returned."
        )


class SharedFileError(ContentError, ValueError):
    """Two rows, or two columns of one, would point to the same stored file; deleting one would take the other's."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        super().__init__(
            f"{filename!r} would be in two places: a stored file belongs to one row. Give the other "
            "`await file.copy_async()`, or a FileObject of its own with the same content, or take the file out of the "
            "first row in the same transaction."
        )


class StaleFileError(ContentError, RuntimeError):
    """A row would point to a file that another transaction replaced or deleted since it was read."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        super().__init__(
            f"{filename!r} was replaced or deleted meanwhile by another transaction: roll back, read the row again, "
            "and repeat the change."
        )


class UnsupportedStatementError(ContentError, TypeError):
    """A bulk statement, or a kind of session, whose effect on files can't be known."""


class LedgerError(FilestoreError):
    """The ledger can't vouch for a file."""


class IntentLostError(LedgerError, RuntimeError):
    """A sweeper took the intent of an upload before its row was written: the bytes may be gone."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        super().__init__(
            f"{filename!r} waited for its row for longer than the ledger's min_age, and a sweeper took it for garbage: "
            "store it again, or give add_ledger a longer min_age."
        )


class LedgerMissingError(LedgerError, RuntimeError):
    """The ledger's table is not in the database, or lacks the column that `column` names."""

    def __init__(self, table: str, *, column: str | None = None) -> None:
        self.table, self.column = table, column
        super().__init__(
            f"The ledger's table {table!r} is missing: create it with metadata.create_all or an Alembic migration "
            "(alembic revision --autogenerate, alembic upgrade head)."
            if column is None
            else f"The ledger's table {table!r} lacks the column {column!r}: bring it up to date with an Alembic "
            "migration (alembic revision --autogenerate, alembic upgrade head); create_all leaves it as it is."
        )


class FileNotSetError(FilestoreError, LookupError):
    """The row exists but its file column is empty."""

    def __init__(self, model: str, field: str) -> None:
        self.model, self.field = model, field
        super().__init__(f"This {model} has no {field}.")


class ListedFileNotFoundError(FileNotSetError):
    """The row's list has no such file, or none any more; `file` is the id or the position that was asked for."""

    def __init__(self, model: str, field: str, file: str) -> None:
        super().__init__(model, field)
        self.file = file
        self.args = (f"This {model} has no file {file!r} in its {field}: read the list again.",)


class UnreadableFileError(FilestoreError, ValueError):
    """The row's file column holds something else than a file.

    `problem` says what is wrong; `table`, `column` and `identity` (the primary key) where, as far as it is known.
    """

    def __init__(
        self,
        problem: str,
        *,
        table: str | None = None,
        column: str | None = None,
        identity: tuple[object, ...] | None = None,
    ) -> None:
        self.problem, self.table, self.column, self.identity = problem, table, column, identity
        key = ", ".join(map(repr, identity or ()))
        place = f"{table}.{column} of the row with the key {key}" if table else "A file column"
        super().__init__(
            f"{place} can't be read as a file: {problem}. Write what belongs there, or NULL; an audit lists all such "
            "rows."
        )
