"""A service of documents, and its session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi_filestore import (
    FileObject,
    FileService,
)
from tests.web.models import Document
from tests.web.site import Site


class Documents(FileService[Document]):
    """A service that knows its model."""


@asynccontextmanager
async def documents(place: Site) -> AsyncIterator[Documents]:
    """Open a session and its service."""
    async with place.session() as session:
        yield Documents(session)


def file(content: bytes = b"content") -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename="a.txt", content=content)
