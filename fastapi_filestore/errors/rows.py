"""Name what a database fails with, and what keeps a row from being written or found."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi_filestore.errors.root import FilestoreError


class DatabaseUnavailableError(FilestoreError, ConnectionError):
    """The database could not do it now, and may do it later: it is down or too busy.

    `reason` is why and what to do, for operators, with neither the statement nor its values; `code` is the SQL state,
    the name of SQLite's code or the number of MySQL's.
    """

    def __init__(self, reason: str, *, code: str | None = None) -> None:
        self.reason, self.code = reason, code
        super().__init__(f"The database can't be used at the moment: {reason}")


class DatabaseReadOnlyError(DatabaseUnavailableError):
    """The database can be read and takes no changes: it is a replica, or its file may not be written."""


class DatabaseFullError(DatabaseUnavailableError):
    """The database has no room left on its disk."""


class DatabaseFailedError(FilestoreError, RuntimeError):
    """The database did not do what it was asked, and would not a moment later.

    `reason` and `code` are as those of `DatabaseUnavailableError`.
    """

    def __init__(self, reason: str, *, code: str | None = None) -> None:
        self.reason, self.code = reason, code
        super().__init__(f"The database did not do what it was asked: {reason}")


class InvalidFieldsError(FilestoreError, ValueError):
    """Values for a row's columns are wrong; `problems` has one entry for each, as pydantic reports them."""

    MOST_SAID = 20
    """Problems that the message tells."""

    def __init__(self, problems: Sequence[Mapping[str, Any]]) -> None:
        self.problems = tuple(problems)
        texts = [": ".join(filter(None, (".".join(map(str, p["loc"])), p["msg"]))) for p in problems[: self.MOST_SAID]]
        more = len(problems) - len(texts)
        super().__init__("; ".join([*texts, f"and {more:,} more"] if more else texts))


class OutOfScopeError(FilestoreError, PermissionError):
    """A row that was written would be outside of the service's scope, so it was not."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"The {model} would belong to what is not yours to write.")


class RowNotFoundError(FilestoreError, LookupError):
    """No row of the model has that primary key."""

    def __init__(self, model: str, identity: object) -> None:
        self.model, self.identity = model, identity
        super().__init__(f"There is no {model} with the id {identity!s}.")


class RowConflictError(FilestoreError, ValueError):
    """The database refused the row: a unique, foreign key, check or not-null constraint."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"The {model} conflicts with another row or misses a value that the database requires.")


class StaleRowError(FilestoreError, RuntimeError):
    """Another transaction changed or deleted the row since it was read."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"The {model} was changed or deleted meanwhile: read it again, then try again.")
