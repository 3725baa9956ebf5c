"""Changes of a file in place reach its row, wherever the row, or the file in it, came from."""

import gc
import pickle
from collections.abc import Callable
from copy import copy
from functools import partial

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, make_transient_to_detached

from fastapi_filestore import FileObject, PendingContentError
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
        moved = await work.do(lambda s: s.scalars(select(Document).where(Document.id != cached.id)).one())
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


async def test_an_edit_of_a_file_whose_row_is_expired_or_loaded_again(rows: Rows) -> None:
    """A file that was read before a commit, or before a refresh, is still the row's file, and changes it."""
    cached = await cached_document(rows)
    async with rows.work() as work:
        row = await work.get(Document, cached.id)
        expired = row.file
        await work.commit()
        describe(expired)
        await work.commit()
        await work.refresh(row)
        assert row.file is not None
        row.file.metadata["other"] = "w"
        stale = row.file
        await work.commit()
        await work.refresh(row)
        rename(stale)
        await work.commit()
    file, *_ = await stored(rows, cached.id)

    assert (file.metadata, file.filename) == ({"k": "v", "other": "w"}, "renamed.txt")


async def test_an_edit_is_undone_with_its_transaction(rows: Rows) -> None:
    """What is rolled back, or closed, is not stored by the next commit."""
    cached = await cached_document(rows)
    async with rows.work() as work:
        await work.do(lambda s: describe(s.get_one(Document, cached.id).file))
        await work.rollback()
        await work.commit()
        file = await work.do(lambda s: s.get_one(Document, cached.id).file)
        await work.close()
        describe(file)
        await work.commit()
    file, *_ = await stored(rows, cached.id)

    assert file.metadata == {}


async def test_an_edit_of_a_file_that_was_replaced_changes_nothing(rows: Rows) -> None:
    """The row has another file: the old one's name is nobody's business."""
    identity = await rows.add(title="a", file=pending(b"old"))
    async with rows.work() as work:
        row = await work.get(Document, identity)
        old, row.file = row.file, pending(b"new", "new.txt")
        rename(old)
        await work.commit()
        rename(old)
        await work.commit()
        await work.refresh(row)

        assert row.file.filename == "new.txt"


async def test_the_list_of_a_merged_row_takes_files(rows: Rows) -> None:
    """A list belongs to the row that it was merged into, whatever became of the one that it was loaded with."""
    cached = await cached_document(rows)
    identity = cached.id
    async with rows.work() as work:
        row = await work.do(partial(Session.merge, instance=cached))
        del cached
        gc.collect()
        assert row.pages is not None
        row.pages.append(pending(b"more"))
        await work.commit()
        await work.refresh(row)

        assert [await page.get_content_async() for page in row.pages] == [b"content", b"more"]
        assert row.id == identity


async def test_a_list_whose_row_is_gone_refuses_more(rows: Rows) -> None:
    """Nobody would ever store what is added."""
    cached = await cached_document(rows)
    async with rows.work() as work:
        pages = await work.do(lambda s: s.get_one(Document, cached.id).pages)
        assert pages is not None
        with pytest.raises(PendingContentError, match="keep the row in a name"):
            pages.append(pending())


async def test_a_list_that_was_replaced_is_anybody_s(rows: Rows) -> None:
    """A row was given another list: what is done to the first one concerns nobody."""
    cached = await cached_document(rows)
    async with rows.work() as work:
        row = await work.get(Document, cached.id)
        old, row.pages = row.pages, [pending(b"new")]
        assert old is not None
        old.clear()
        await work.commit()
        await work.refresh(row)

        assert [await page.get_content_async() for page in row.pages] == [b"new"]


async def test_a_row_that_was_made_by_hand_is_watched(rows: Rows) -> None:
    """A row whose key is known without a look at the database is a row like any other."""
    cached = await cached_document(rows)
    by_hand = Document(id=cached.id, title="a", file=copy(cached.file))
    make_transient_to_detached(by_hand)

    def work_on(session: Session) -> None:
        session.add(by_hand)
        describe(by_hand.file)

    await commit(rows, work_on)
    file, *_ = await stored(rows, cached.id)

    assert file.metadata == {"k": "v"}


async def test_an_edit_outlives_a_savepoint_that_it_was_made_before(rows: Rows) -> None:
    """A savepoint that is rolled back takes along what was changed in it, and nothing else."""
    cached = await cached_document(rows)

    def work_on(session: Session) -> None:
        describe(session.get_one(Document, cached.id).file)
        savepoint = session.begin_nested()
        rename(session.get_one(Document, cached.id).file)
        session.flush()
        savepoint.rollback()
        with session.begin_nested():
            retype(session.get_one(Document, cached.id).file)

    await commit(rows, work_on)
    file, *_ = await stored(rows, cached.id)

    assert (file.metadata, file.filename, file.content_type) == ({"k": "v"}, "a.txt", "text/markdown")


async def test_an_edit_of_an_old_copy_is_not_lost_in_silence(rows: Rows) -> None:
    """A pickled row that is merged unread brings its old file back, and the edit with it."""
    cached = await cached_document(rows)

    def work_on(session: Session) -> Document:
        document = session.get_one(Document, cached.id)
        session.merge(pickle.loads(pickle.dumps(document)), load=False)
        describe(document.file)
        return document

    async with rows.work() as work:
        document = await work.do(work_on)
        await work.commit()
        assert await work.do(lambda s: document in s)
    file, *_ = await stored(rows, cached.id)

    assert file.metadata == {"k": "v"}
