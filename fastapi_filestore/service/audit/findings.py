"""Put what an audit finds into words."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from fastapi_filestore.errors import FilestoreError, InvalidCursorError
from fastapi_filestore.events import OBJECT_MISSING
from fastapi_filestore.storage.base64url import decode_base64url, encode_base64url


class FindingKind(StrEnum):
    """The ways in which rows and objects disagree."""

    ORPHAN = "orphan"
    """An object that no row holds and no ledger knows of, older than the grace time."""
    MISSING = "missing"
    """A row whose object is not there."""
    SIZE = "size"
    """A row whose object has another size."""
    CHECKSUM = "checksum"
    """A row whose object has other bytes, by their SHA-256."""
    ETAG = "etag"
    """A row whose object has another entity tag: somebody wrote it again."""
    UNREADABLE_ROW = "unreadable_row"
    """A row whose file column holds something else than files: which objects it holds nobody knows."""
    SHARED = "shared"
    """An object that several rows hold, or several columns of one."""
    UNKNOWN_BACKEND = "unknown_backend"
    """A row whose backend is not registered."""
    UNFINISHED_UPLOAD = "unfinished_upload"
    """A multipart upload older than the grace time that was never completed, and that no listing shows."""
    UNCHECKED = "unchecked"
    """Something that the store did not let the audit see."""


FIXABLE = frozenset(
    {
        FindingKind.ORPHAN,
        FindingKind.SIZE,
        FindingKind.CHECKSUM,
        FindingKind.ETAG,
        FindingKind.UNFINISHED_UPLOAD,
    }
)
"""Kinds that `fix=` can act on."""


@dataclass(frozen=True, slots=True)
class RowIdentity:
    """A place where a row holds a file: table, column and primary key."""

    table: str
    column: str
    identity: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement between rows and objects.

    Attributes:
        kind: What is wrong.
        backend: Key of the backend.
        path: The object key; None if the finding is about the whole backend.
        cursor: Where an audit goes on after this finding, with `after=`.
        row: The row, where there is one.
        detail: The same in words.
        fixed: Whether the audit has put it right.
    """

    kind: FindingKind
    backend: str
    path: str | None
    cursor: str
    row: RowIdentity | None = None
    detail: str = ""
    fixed: bool = False


class Position(NamedTuple):
    """A place in an audit that it has come to: the stage, and the last location that it has settled in it."""

    stage: int = -1
    backend: str = ""
    path: str = ""

    def encode(self) -> str:
        """Return the position as a cursor."""
        return encode_base64url(json.dumps(self).encode())

    @classmethod
    def decode(cls, cursor: str | None) -> "Position":
        """Return the position of a cursor; `InvalidCursorError` if it is none."""
        if cursor is None:
            return cls()
        try:
            stage, backend, path = json.loads(decode_base64url(cursor))
        except (ValueError, TypeError):
            raise InvalidCursorError from None
        if not (isinstance(stage, int) and isinstance(backend, str) and isinstance(path, str)):
            raise InvalidCursorError
        return cls(stage, backend, path)


def finding_at(
    kind: FindingKind, at: Position, *, row: RowIdentity | None = None, detail: str, fixed: bool = False
) -> Finding:
    """Return a finding about an object, or about a whole backend."""
    return Finding(kind, at.backend, at.path or None, at.encode(), row, detail, fixed)


def unchecked(at: Position, error: Exception) -> Finding:
    """Return the finding of what a store did not show."""
    return finding_at(FindingKind.UNCHECKED, at, detail=str(error))


def tell_missing(finding: Finding) -> None:
    """Log, as a download would, that a row holds a file whose object is gone."""
    row = finding.row
    OBJECT_MISSING.tell(
        backend=finding.backend,
        object=finding.path,
        table=row and row.table,
        column=row and row.column,
        row=row and ", ".join(map(str, row.identity)),
    )


def unreadable(at: Position, row: RowIdentity, backend: str, problem: str) -> Finding:
    """Return the finding of a row that can't be read."""
    detail = f"It can't be read as a file: {problem}. Till it is put right, no orphan that it may hold is deleted."
    return Finding(FindingKind.UNREADABLE_ROW, backend, None, at.encode(), row, detail)


def unknown_class(at: Position, name: str) -> Finding:
    """Return the finding of a mapped class whose rows are nobody knows where."""
    detail = (
        f"{name} holds files, and the database that it is in is not known, so no orphan was deleted. Create or migrate "
        "its table; or, if it is in another database, audit both: audit(engine, Model, also={other_engine: Other})."
    )
    return Finding(FindingKind.UNCHECKED, "", None, at.encode(), None, detail)


async def report_repair(finding: Callable[..., Finding], detail: str, repair: Awaitable[None]) -> Finding:
    """Put something right, and return the finding that says whether it could be."""
    try:
        await repair
    except FilestoreError as error:
        return finding(detail=f"{detail} It could not be fixed: {error}")
    return finding(detail=detail, fixed=True)
