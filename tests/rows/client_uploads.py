"""Files that a client stored by an upload URL, and services that take them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select

from fastapi_filestore import (
    FileObject,
    FileService,
)
from fastapi_filestore.storage.paths import generate_upload_path
from tests.rows.conftest import Rows, Work
from tests.rows.models import Document


async def uploaded(rows: Rows, content: bytes = b"client") -> FileObject:
    """Return a file that a client has stored by an upload URL."""
    path = generate_upload_path(60)
    await rows.backend.put(path, content)
    return FileObject("rows", "a.txt", path=path)


@asynccontextmanager
async def service_of(rows: Rows) -> AsyncIterator[tuple[FileService[Document], Work]]:
    """Open a service, and its session."""
    async with rows.work() as work:
        yield FileService(work.session, model=Document), work


async def taken(rows: Rows) -> list[FileObject]:
    """Return the files that rows have."""
    async with rows.work() as work:
        documents = await work.scalars(select(Document).order_by(Document.id))
        return [file for each in documents for file in ([each.file] if each.file else []) + list(each.pages or [])]
