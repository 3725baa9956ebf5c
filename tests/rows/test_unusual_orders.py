"""Ordinary operations in unusual orders, each of which once lost a file, or a change of one."""

from copy import copy

import pytest
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, FileService
from tests.rows.conftest import Rows, pending
from tests.rows.models import Author, Document


async def reloaded(rows: Rows, identity: int) -> Document:
    """Return a document as another session sees it."""
    async with rows.work() as work:
        document = await work.get(Document, identity)
        await work.refresh(document, ["file", "pages", "title"])
        work.session.expunge(document)
        return document


@pytest.mark.filterwarnings("ignore:New instance .* conflicts with persistent instance")
async def test_a_new_row_takes_the_key_that_another_leaves(rows: Rows) -> None:
    """The row that goes on under another key keeps its file, and the new one has its own."""
    identity = await rows.add(title="a", file=pending(b"kept"))

    def change(session: Session) -> None:
        session.get_one(Document, identity).id = identity + 100
        session.add(Document(id=identity, title="b", file=pending(b"new")))

    async with rows.work() as work:
        await work.do(change)
        await work.commit()

    assert (await rows.content(identity + 100), await rows.content(identity)) == (b"kept", b"new")


async def test_a_stored_file_that_a_connection_wrote_is_the_row_s(rows: Rows) -> None:
    """What a statement on the connection put into the row, past the session, is not taken for garbage."""
    identity = await rows.add(title="a", file=pending(b"old"))
    file = await pending_in(rows).save_async()

    def change(session: Session) -> None:
        document = session.get_one(Document, identity)
        session.connection().execute(update(Document.__table__).values(file=file))  # type: ignore[arg-type]
        document.file = file

    async with rows.work() as work:
        await work.do(change)
        await work.commit()

    assert await rows.content(identity) == b"content"
    await rows.backend.delete(*await rows.keys() - {str(file.path)})  # which nobody told of the statement


async def test_a_file_that_leaves_and_comes_back_changed(rows: Rows) -> None:
    """What changed in a file, or a list, while its row did not hold it is stored with it."""
    identity = await rows.add(title="a", file=pending(), pages=[pending(b"1")])

    def change(session: Session) -> None:
        document = session.get_one(Document, identity)
        file, pages = document.file, document.pages
        assert file is not None
        assert pages is not None
        document.file, document.pages = None, None
        file.filename = "renamed.txt"
        pages.append(pending(b"2"))
        document.file, document.pages = file, pages

    async with rows.work() as work:
        await work.do(change)
        await work.commit()

    document = await reloaded(rows, identity)
    assert document.file is not None
    assert document.file.filename == "renamed.txt"
    assert len(document.pages or []) == 2


async def test_a_changed_copy_takes_the_place_of_the_file(rows: Rows) -> None:
    """A copy of a file is the same object, so its row may hold either, in this transaction or in a later one."""
    async with rows.work(expire_on_commit=False) as work:
        document = Document(title="a", file=pending(), pages=[])
        await work.add(document)
        await work.flush()
        document.file = copy(document.file)
        assert document.file is not None
        document.file.filename = "renamed.txt"
        twin = copy(document.file)
        await work.commit()
        document.file.metadata["k"] = "v"
        await work.commit()
        twin.metadata["l"] = "w"
        document.file = twin
        await work.commit()

    stored = (await reloaded(rows, document.id)).file
    assert stored is not None
    assert (stored.filename, stored.metadata) == ("renamed.txt", {"l": "w"})


async def test_the_service_commits_what_changed_since_its_last_commit(rows: Rows) -> None:
    """A file that was read before a commit, or under a lock, is still the row's."""
    identity = await rows.add(title="a", file=pending(), pages=[])
    async with rows.work() as work:
        service = FileService(work.session, model=Document)
        file = await service.file(identity, field="file")
        await service.commit()
        file.metadata["k"] = "v"
        await service.commit()
        held = await service.lock_file(identity, field="file")
        assert held is not None
        held.metadata["l"] = "w"
        await service.commit()

    stored = (await reloaded(rows, identity)).file
    assert stored is not None
    assert stored.metadata == {"k": "v", "l": "w"}


async def test_a_new_row_with_a_list_is_merged(rows: Rows) -> None:
    """Merging adds a row that is nowhere yet, its pending files included."""
    async with rows.work() as work:
        row = await work.merge(Document(id=500, title="a", pages=[pending(b"1")], notes=[]))
        await work.commit()
        await work.refresh(row)

        assert [await page.get_content_async() for page in row.pages or []] == [b"1"]


async def test_an_insert_of_several_rows_returns_them(rows: Rows) -> None:
    """A class of two file columns, single or list, may be inserted in bulk and returned."""
    values = [{"title": title, "file": pending(), "pages": [pending()]} for title in "ab"]
    async with rows.work() as work:
        documents = await work.scalars(insert(Document).returning(Document), values)
        another = [{"title": "c", "file": pending(), "pages": [pending()]}]
        columns = insert(Document).returning(Document.file, Document.pages)
        (await work.execute(columns, another)).all()
        await work.add(Author(photo=pending(), essay=pending()))
        await work.commit()

    assert len(documents) == 2
    assert len(await rows.keys()) == 8


def pending_in(rows: Rows) -> FileObject:
    """Return a file that names its backend."""
    return FileObject(backend="rows", filename="a.txt", content=b"content")
