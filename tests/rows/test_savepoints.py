"""A savepoint that is rolled back undoes what it did itself, and nothing of the transaction around it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, ObstoreBackend, storages
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, pending
from tests.rows.giving_up import give_up
from tests.rows.models import Document


def new_document(title: str) -> Document:
    """Return a document with a file and two pages."""
    return Document(title=title, file=pending(b"outer"), pages=[pending(b"first"), pending(b"second")])


async def contents(document: Document) -> list[bytes]:
    """Return the bytes of a document's file and pages."""
    files = [document.file, *(document.pages or [])]
    return [await file.get_content_async() for file in files if file is not None]


def append(document: Document) -> None:
    """Add a file to its list."""
    assert document.pages is not None
    document.pages.append(pending(b"inner", "inner.txt"))


def rename(document: Document) -> None:
    """Change its file in place."""
    assert document.file is not None
    document.file.filename = "renamed.txt"


def describe(document: Document) -> None:
    """Change the metadata of its file."""
    assert document.file is not None
    document.file.metadata["k"] = "v"


def describe_page(document: Document) -> None:
    """Change the metadata of a file of its list."""
    assert document.pages is not None
    document.pages[0].metadata["k"] = "v"


def reorder(document: Document) -> None:
    """Turn its list around."""
    assert document.pages is not None
    document.pages = [*reversed(document.pages)]


def swap(document: Document) -> None:
    """Give its file to the list, and one of the list to the file."""
    assert document.pages is not None
    document.file, document.pages[0] = document.pages[0], document.file


def replace(document: Document) -> None:
    """Give it another file."""
    document.file = pending(b"inner")


def clear(document: Document) -> None:
    """Take all its files away."""
    document.file, document.pages = None, None


Change = Callable[[Document], None]


CHANGES: list[Change] = [append, rename, describe, describe_page, reorder, swap, replace, clear]


def write_and_give_up(session: Session, document: Document, change: Change) -> None:
    """Write a new document, and change it in a savepoint that is rolled back."""
    session.add(document)
    session.flush()
    give_up(session, lambda _: change(document))


async def test_an_undone_savepoint_leaves_the_files_of_the_transaction_around_it(rows: Rows) -> None:
    """What the outer transaction stored is there after the commit, whatever the savepoint did to its row."""
    for change in CHANGES:
        document = new_document(change.__name__)

        async with rows.work() as work:
            await work.do(partial(write_and_give_up, document=document, change=change))
            await work.commit()
            await work.do(partial(Session.refresh, instance=document))

            assert await contents(document) == [b"outer", b"first", b"second"], change.__name__
            assert document.file is not None
            assert document.file.metadata == {}, change.__name__


async def test_a_change_of_a_committed_row_is_undone_with_its_savepoint(rows: Rows) -> None:
    """The same of a row that was there before the transaction, and got a page in it."""
    for change in CHANGES:
        document = new_document(change.__name__)

        def work_on(session: Session, document: Document = document, change: Change = change) -> None:
            append(document)
            session.flush()
            give_up(session, lambda _: change(document))

        async with rows.work(expire_on_commit=False) as work:
            await work.do(partial(Session.add, instance=document))
            await work.commit()
            await work.do(work_on)
            await work.commit()
            await work.do(partial(Session.refresh, instance=document))

            assert await contents(document) == [b"outer", b"first", b"second", b"inner"], change.__name__


async def test_both_transactions_can_be_rolled_back(rows: Rows) -> None:
    """Nothing is left of a transaction and of its savepoint, and no rollback raises."""
    for change in CHANGES:
        document = new_document(change.__name__)

        async with rows.work() as work:
            await work.do(partial(write_and_give_up, document=document, change=change))
            await work.rollback()

        assert await rows.keys() == set(), change.__name__


async def test_savepoints_within_savepoints(rows: Rows) -> None:
    """Each ends for itself: the innermost and the outermost are kept, the one between is not."""
    document = Document(title="a", pages=[pending(b"1")])

    def work_on(session: Session) -> None:
        session.add(document)
        session.flush()

        def between(session: Session) -> None:
            append(document)
            with session.begin_nested():
                append(document)
            give_up(session, lambda _: append(document))

        give_up(session, between)
        with session.begin_nested():
            append(document)
            give_up(session, lambda _: append(document))

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()
        await work.refresh(document)

        assert document.pages is not None
        assert [await page.get_content_async() for page in document.pages] == [b"1", b"inner"]
        assert len(await rows.keys()) == 2


async def test_a_file_that_moves_in_an_undone_savepoint_moves_back(rows: Rows) -> None:
    """The row that had the file has it again, and the other one has none."""
    first, second = Document(title="a", file=pending(b"moved")), Document(title="b")

    def move(_: Session) -> None:
        second.file, first.file = first.file, None

    def work_on(session: Session) -> None:
        session.add_all([first, second])
        session.flush()
        give_up(session, move)

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()
        await work.refresh(first)
        await work.refresh(second)

        assert (await rows.content(first.id), second.file) == (b"moved", None)


async def test_what_a_listener_touches_in_an_undone_savepoint(rows: Rows) -> None:
    """A mapper event that names the file of an outer transaction does not make it the savepoint's own."""
    document = Document(title="a", file=pending(b"outer"))

    def describe_late(_: Any, __: Any, row: Document) -> None:
        assert row.file is not None
        row.file.metadata["k"] = "v"
        row.file = row.file

    def change(_: Session) -> None:
        document.title = "b"

    def work_on(session: Session) -> None:
        session.add(document)
        session.flush()
        event.listen(Document, "before_update", describe_late)
        try:
            give_up(session, change)
        finally:
            event.remove(Document, "before_update", describe_late)

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()
        identity = await work.do(lambda s: document.id)

    assert await rows.content(identity) == b"outer"


async def test_one_odd_file_keeps_no_other_from_being_undone(rows: Rows) -> None:
    """A file that lost its place, and one of a backend that is gone, leave nothing of the others behind."""
    other = ObstoreBackend(key="other", fs="memory://")
    storages.register_backend(other)
    files = [pending(b"1"), FileObject(backend="other", filename="b.txt", content=b"2"), pending(b"3")]

    async with rows.work() as work:
        await work.add_all([Document(title=str(n), file=file) for n, file in enumerate(files)])
        await work.flush()
        files[0]._path = None  # noqa: SLF001 - as no program could
        storages.unregister_backend("other")
        await work.rollback()

    assert await rows.keys() == set()
    storages.register_backend(other)  # for the sweep at the end, which knows what is left in it
    await rows.sweep()
    await other.delete(*[info.path async for info in other.list()])
    storages.unregister_backend("other")


async def test_one_object_that_cannot_be_deleted_keeps_no_other(rows: Rows) -> None:
    """A store that refuses one of several deletions still does the others."""
    faulty = FaultyBackend(rows.backend, lambda number, operation: operation == "delete" and number in {4, 5})
    storages.register_backend(faulty, replace=True)

    async with rows.work() as work:
        await work.add_all([Document(title=str(n), file=pending()) for n in range(3)])
        await work.flush()
        faulty.error = lambda: PermissionError("not this one")
        await work.rollback()

    storages.register_backend(rows.backend, replace=True)
    assert len(await rows.keys()) == 1
    await rows.backend.delete(*await rows.keys())
