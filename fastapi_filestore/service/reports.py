"""How what an audit finds is put into words."""

from collections.abc import Awaitable, Callable

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.events import OBJECT_MISSING
from fastapi_filestore.service.findings import Finding, FindingKind, Position, RowIdentity


def found(
    kind: FindingKind, at: Position, *, row: RowIdentity | None = None, detail: str, fixed: bool = False
) -> Finding:
    """Return a finding about an object, or about a whole backend."""
    return Finding(kind, at.backend, at.path or None, at.encode(), row, detail, fixed)


def unchecked(at: Position, error: Exception) -> Finding:
    """Return the finding of what a store did not show."""
    return found(FindingKind.UNCHECKED, at, detail=str(error))


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


async def repaired(finding: Callable[..., Finding], detail: str, repair: Awaitable[None]) -> Finding:
    """Put something right, and return the finding that says whether it could be."""
    try:
        await repair
    except FilestoreError as error:
        return finding(detail=f"{detail} It could not be fixed: {error}")
    return finding(detail=detail, fixed=True)
