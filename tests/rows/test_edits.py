"""Changes of a file in place reach its row, wherever the row, or the file in it, came from."""

import gc
import pickle
from collections.abc import Callable
from copy import copy
from functools import partial

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject
from tests.rows.conftest import Rows
from tests.rows.editing import cached_document, commit, describe, rename, retype, stored
from tests.rows.models import Document

EDITS: dict[Callable[[FileObject | None], None], tuple[dict[str, str], str, str]] = {
    describe: ({"k": "v"}, "a.txt", "text/plain"),
    rename: ({}, "renamed.txt", "text/plain"),
    retype: ({}, "a.txt", "text/markdown"),
}


def merge_cached(session: Session, cached: Document) -> Document:
    """Merge a row of a cache."""
    return session.merge(cached)


def merge_unread(session: Session, cached: Document) -> Document:
    """Merge a row of a cache without reading it from the database."""
    return session.merge(cached, load=False)


def merge_unread_into_another(session: Session, cached: Document) -> Document:
    """Merge a row of a cache, unread, into a row that the session has already."""
    here = session.get_one(Document, cached.id)
    session.merge(cached, load=False)
    return here


def merge_pickled(session: Session, cached: Document) -> Document:
    """Merge a row that travelled."""
    travelled: Document = pickle.loads(pickle.dumps(cached))
    return session.merge(travelled)


def add_pickled(session: Session, cached: Document) -> Document:
    """Add a row that travelled."""
    row: Document = pickle.loads(pickle.dumps(cached))
    session.add(row)
    return row


def add_again(session: Session, cached: Document) -> Document:
    """Add a row of a session that was closed."""
    session.add(cached)
    return cached


def assign_equal(session: Session, cached: Document) -> Document:
    """Give a row a copy of the file that it has."""
    row = session.get_one(Document, cached.id)
    row.file, row.pages = copy(row.file), [copy(page) for page in row.pages or []]
    return row


def load(session: Session, cached: Document) -> Document:
    """Load a row."""
    return session.get_one(Document, cached.id)


WAYS = [
    merge_cached,
    merge_unread,
    merge_unread_into_another,
    merge_pickled,
    add_pickled,
    add_again,
    assign_equal,
    load,
]


@pytest.mark.parametrize("way", WAYS)
async def test_an_edit_reaches_the_row(rows: Rows, way: Callable[[Session, Document], Document]) -> None:
    """An edit in place, after a flush, is stored with the next commit, of a single file and in a list."""
    for edit, expected in EDITS.items():
        cached = await cached_document(rows)
        identity = cached.id

        def work_on(
            session: Session, cached: Document = cached, edit: Callable[[FileObject | None], None] = edit
        ) -> Document:
            row = way(session, cached)
            session.flush()
            edit(row.file)
            assert row.pages is not None
            edit(row.pages[0])
            return row

        async with rows.work() as work:
            row = await work.do(work_on)
            await work.commit()
            del row
        async with rows.work() as work:
            row = await work.do(partial(Session.get_one, entity=Document, ident=identity))
            assert row.pages is not None
            for file in (row.file, *row.pages):
                assert file is not None
                assert (file.metadata, file.filename, file.content_type) == expected, (way, edit)
            await work.do(partial(Session.delete, instance=row))
            await work.commit()


async def test_an_edit_of_a_pickled_row_before_it_is_added(rows: Rows) -> None:
    """What changed while no session knew the row is stored, too."""
    cached = await cached_document(rows)

    def work_on(session: Session) -> None:
        row: Document = pickle.loads(pickle.dumps(cached))
        describe(row.file)
        assert row.pages is not None
        describe(row.pages[0])
        session.add(row)

    await commit(rows, work_on)
    file, *pages = await stored(rows, cached.id)

    assert file.metadata == pages[0].metadata == {"k": "v"}


async def test_an_edit_of_a_file_whose_row_nobody_holds(rows: Rows) -> None:
    """The row is loaded again at the commit, and changed."""
    cached = await cached_document(rows)

    def work_on(session: Session) -> None:
        describe(session.get_one(Document, cached.id).file)
        rename(session.get_one(Document, cached.id).file)
        describe((session.get_one(Document, cached.id).pages or [])[0])

    async with rows.work() as work:
        await work.do(work_on)
        gc.collect()
        await work.commit()
    file, *pages = await stored(rows, cached.id)

    assert (file.metadata, file.filename) == ({"k": "v"}, "renamed.txt")
    assert pages[0].metadata == {"k": "v"}


async def test_an_edit_of_a_file_that_nobody_holds_and_that_moves(rows: Rows) -> None:
    """The file is changed where it has come to: in another row, and in another list."""
    cached = await cached_document(rows)

    def work_on(session: Session) -> None:
        with session.no_autoflush:
            describe(session.get_one(Document, cached.id).file)
            rename((session.get_one(Document, cached.id).pages or [])[0])
            gc.collect()
            old, new = session.get_one(Document, cached.id), Document(title="new")
            new.file, old.file = old.file, None
            new.pages, old.pages = list(old.pages or []), []
            session.add(new)

    await commit(rows, work_on)
    async with rows.work() as work:
        moved = await work.scalar_one(select(Document).where(Document.id != cached.id))
        assert moved.file is not None
        assert moved.pages is not None
        assert (moved.file.metadata, moved.pages[0].filename) == ({"k": "v"}, "renamed.txt")


async def test_an_edit_after_a_merge_without_loading_is_flushed(rows: Rows) -> None:
    """A flush writes it, and does not wait for the commit; the copy can be merged again."""
    cached = await cached_document(rows)

    def work_on(session: Session) -> None:
        row = merge_unread(session, cached)
        blob = pickle.dumps(row)
        for files in (row.file, *(row.pages or [])):
            describe(files)
        assert row in session.dirty
        session.flush()
        session.merge(pickle.loads(blob), load=False)

    await commit(rows, work_on)
    file, *pages = await stored(rows, cached.id)

    assert file.metadata == pages[0].metadata == {"k": "v"}


async def test_an_edit_of_a_file_that_comes_back(rows: Rows) -> None:
    """A file that no row holds for a while, and that comes back with a copy made before, is changed then."""
    cached = await cached_document(rows)

    def work_on(session: Session) -> None:
        describe(session.get_one(Document, cached.id).file)
        gc.collect()
        session.get_one(Document, cached.id).file = None
        session.flush()
        session.merge(cached)

    await commit(rows, work_on)
    file, *_ = await stored(rows, cached.id)

    assert file.metadata == {"k": "v"}


async def test_an_edit_of_a_file_that_tells_two_rows(rows: Rows) -> None:
    """A file that came from a row which nobody holds any more changes in the row that it was put into, once."""
    cached = await cached_document(rows)
    target = await rows.add(title="target")

    def work_on(session: Session) -> None:
        with session.no_autoflush:
            file = session.get_one(Document, cached.id).file
            gc.collect()
            describe(file)
            session.get_one(Document, target).file = file
            session.get_one(Document, cached.id).file = None

    await commit(rows, work_on)
    file, *_ = await stored(rows, target)

    assert file.metadata == {"k": "v"}
