"""Edits of files in place, and lists, whose row was rolled back, replaced, made by hand or is gone."""

import gc
import pickle
from copy import copy
from functools import partial

import pytest
from sqlalchemy.orm import Session, make_transient_to_detached

from fastapi_filestore import PendingContentError
from tests.rows.conftest import Rows, pending
from tests.rows.editing import cached_document, commit, describe, rename, retype, stored
from tests.rows.models import Document


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
        file = (await work.get(Document, cached.id)).file
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
        pages = await work.do(lambda session: session.get_one(Document, cached.id).pages)  # and holds no row
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
