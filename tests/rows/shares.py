"""Rows that share an object, as other programs write them."""

from typing import Any

from sqlalchemy import insert, select, type_coerce
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject
from tests.rows.conftest import Rows
from tests.rows.models import Document

SHARED = "scans/contract.pdf"


OURS = "ab/ab" + "0" * 30
"""A path of our own form."""


def confirmed(path: str = SHARED) -> FileObject:
    """Return a file that a client stored by itself."""
    return FileObject("rows", "contract.pdf", path=path)


async def share(rows: Rows, count: int, record: dict[str, str], *, in_lists: bool = False) -> list[int]:
    """Write rows whose JSON says that they hold one object, as other programs do, and the object."""
    await rows.backend.put((record.get("path") or record["filename"]).strip("/"), b"shared")
    held = {"pages": [record]} if in_lists else {"file": record}
    table: Any = Document.__table__
    values = [
        {name: type_coerce(value, rows.json()) for name, value in held.items()} | {"title": str(number)}
        for number in range(count)
    ]
    async with rows.work() as work:
        for row in values:
            await work.do(lambda s, row=row: s.connection().execute(insert(table).values(row)))  # type: ignore[misc]
        await work.commit()
        return list(await work.scalars(select(Document.id).order_by(Document.id)))


RECORDS = {
    "filename": {"backend": "rows", "filename": "report.pdf"},
    "path": {"backend": "rows", "filename": "report.pdf", "path": SHARED},
    "empty path": {"backend": "rows", "filename": "a/report.pdf", "path": ""},
    "slashes": {"backend": "rows", "filename": "/reports/report.pdf"},
    "no backend": {"filename": "report.pdf"},
    "odd text": {"backend": "rows", "filename": "Größe 100% \"q\" 'x'.pdf"},
}


def delete_document(session: Session, identity: int) -> None:
    """Delete a document."""
    session.delete(session.get_one(Document, identity))
