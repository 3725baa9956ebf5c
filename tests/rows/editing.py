"""Changes of a file in place, and ways for a changed copy of a row into a session."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from fastapi_filestore import FileObject
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


def describe(file: FileObject | None) -> None:
    """Change its metadata."""
    assert file is not None
    file.metadata["k"] = "v"


def rename(file: FileObject | None) -> None:
    """Change its name."""
    assert file is not None
    file.filename = "renamed.txt"


def retype(file: FileObject | None) -> None:
    """Change its type."""
    assert file is not None
    file.content_type = "text/markdown"


async def cached_document(rows: Rows) -> Document:
    """Return a document of a session that is closed, all of it loaded."""
    async with rows.work(expire_on_commit=False) as work:
        document = Document(title="a", file=pending(), pages=[pending()], notes=[])
        await work.add(document)
        await work.commit()
    return document


async def commit(rows: Rows, change: Callable[[Session], object]) -> None:
    """Make a change in a session of its own, and commit it."""
    async with rows.work() as work:
        await work.do(change)
        await work.commit()


async def stored(rows: Rows, identity: int) -> list[FileObject]:
    """Return the file of a document, as its row has it now, and its pages."""
    async with rows.work() as work:
        row = await work.get(Document, identity)
        assert row.file is not None
        return [row.file, *(row.pages or [])]
