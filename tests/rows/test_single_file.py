"""One file in a column: its bytes and its row live and die together."""

import copy
import pickle
from pathlib import Path

import pytest
from sqlalchemy import column, insert, select, table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fastapi_filestore import (
    FileObject,
    ObjectNotFoundError,
    PendingContentError,
    SharedFileError,
    StorageUnavailableError,
    UnsupportedContentError,
    storages,
)
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, pending
from tests.rows.models import Base, Document, Note


async def test_commit_keeps_the_bytes(rows: Rows) -> None:
    """A committed row's file can be read by anyone, with size and checksum known."""
    identity = await rows.add(title="t", file=pending(b"hello"))

    assert await rows.content(identity) == b"hello"
    async with rows.work() as work:
        file = await work.do(lambda s: s.get_one(Document, identity).file)
    assert file is not None
    assert (file.size, len(file.checksum or ""), file.filename) == (5, 64, "a.txt")


async def test_bytes_are_complete_before_the_row_is_written(rows: Rows) -> None:
    """After a flush, and before any commit, the object is in the store."""
    async with rows.work() as work:
        document = Document(title="t", file=pending())
        await work.add(document)
        await work.flush()

        assert len(await rows.keys()) == 1


async def test_rollback_deletes_the_bytes(rows: Rows) -> None:
    """A rolled-back row leaves no object."""
    async with rows.work() as work:
        await work.add(Document(title="t", file=pending()))
        await work.flush()
        await work.rollback()

    assert await rows.keys() == set()


async def test_close_is_a_rollback(rows: Rows) -> None:
    """A session closed without a commit leaves no object."""
    async with rows.work() as work:
        await work.add(Document(title="t", file=pending()))
        await work.flush()

    assert await rows.keys() == set()


async def test_replacing_deletes_the_old_object_after_commit(rows: Rows) -> None:
    """A replaced file's object goes at the commit, not before, even under the same filename."""
    identity = await rows.add(title="t", file=pending(b"old"))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        document.file = pending(b"new")
        await work.flush()

        assert len(await rows.keys()) == 2
        await work.commit()

    assert len(await rows.keys()) == 1
    assert await rows.content(identity) == b"new"


async def test_replacing_is_undone_by_rollback(rows: Rows) -> None:
    """A rolled-back replacement leaves the old object and drops the new one."""
    identity = await rows.add(title="t", file=pending(b"old"))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        document.file = pending(b"new")
        await work.flush()
        await work.rollback()

    assert await rows.content(identity) == b"old"


async def test_replacing_an_expired_or_deferred_value_deletes_the_old_object(rows: Rows) -> None:
    """The old value is what the database holds, whether or not the session ever loaded it."""
    identity = await rows.add(title="t", file=pending(b"old"))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        await work.do(lambda s: s.expire(document))
        document.file = pending(b"new")
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_deleting_the_row_deletes_the_object_after_commit(rows: Rows) -> None:
    """A deleted row's object goes at the commit."""
    identity = await rows.add(title="t", file=pending())
    async with rows.work() as work:
        await work.do(lambda s: s.delete(s.get_one(Document, identity)))
        await work.flush()

        assert len(await rows.keys()) == 1
        await work.commit()

    assert await rows.keys() == set()


async def test_a_rolled_back_delete_keeps_the_object(rows: Rows) -> None:
    """A delete that is rolled back deletes nothing."""
    identity = await rows.add(title="t", file=pending(b"kept"))
    async with rows.work() as work:
        await work.do(lambda s: s.delete(s.get_one(Document, identity)))
        await work.flush()
        await work.rollback()

    assert await rows.content(identity) == b"kept"


async def test_setting_none_deletes_the_object_and_is_sql_null(rows: Rows) -> None:
    """None is SQL NULL, and what was there goes."""
    identity = await rows.add(title="t", file=pending())
    async with rows.work() as work:
        document = await work.get(Document, identity)
        document.file = None
        await work.commit()
        found = await work.do(lambda s: s.scalars(select(Document.id).where(Document.file.is_(None))).all())

    assert found == [identity]
    assert await rows.keys() == set()


async def test_orphans_of_a_relationship_take_their_objects_along(rows: Rows) -> None:
    """Children deleted by the delete-orphan cascade lose their objects like any other row."""
    identity = await rows.add(title="t", notes=[Note(file=pending()), Note(file=pending())])
    async with rows.work() as work:
        document = await work.get(Document, identity)
        await work.do(lambda s: document.notes.pop())
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_constraint_violation_leaves_no_object(rows: Rows) -> None:
    """A row that the database refuses leaves no object, and the session works on after rollback."""
    await rows.add(title="taken", file=pending(b"first"))
    async with rows.work() as work:
        await work.add(Document(title="taken", file=pending(b"second")))
        with pytest.raises(IntegrityError):
            await work.commit()
        await work.rollback()
        await work.add(Document(title="free", file=pending(b"third")))
        await work.commit()

    assert len(await rows.keys()) == 2


async def test_a_row_refused_once_can_be_added_again(rows: Rows) -> None:
    """Content that can be read again is stored again when the same object is committed after a rollback."""
    await rows.add(title="taken")
    document = Document(title="taken", file=pending(b"again"))
    async with rows.work() as work:
        await work.add(document)
        with pytest.raises(IntegrityError):
            await work.commit()
        await work.rollback()
        document.title = "free"
        await work.add(document)
        await work.commit()
        identity = await work.do(lambda s: document.id)

    assert await rows.content(identity) == b"again"


async def test_a_file_saved_by_hand_goes_with_a_rollback(rows: Rows) -> None:
    """A file stored before it was assigned belongs to the transaction that wrote its row."""
    file = await FileObject("rows", "a.txt", content=b"by hand").save_async()
    async with rows.work() as work:
        await work.add(Document(title="t", file=file))
        await work.flush()
        await work.rollback()

    assert await rows.keys() == set()


async def test_a_failing_upload_fails_the_flush(rows: Rows) -> None:
    """An upload that fails fails the commit, writes no row, and the session works on after rollback."""
    storages.register_backend(FaultyBackend(rows.backend, lambda call, operation: call == 1), replace=True)
    async with rows.work() as work:
        await work.add(Document(title="t", file=pending()))
        with pytest.raises(StorageUnavailableError):
            await work.commit()
        await work.rollback()
        await work.add(Document(title="u", file=pending()))
        await work.commit()
        titles = await work.do(lambda s: s.scalars(select(Document.title)).all())

    assert titles == ["u"]


async def test_a_failing_sibling_leaves_nothing_of_the_others(rows: Rows) -> None:
    """Of several uploads in one flush, one that fails takes the others with it."""
    storages.register_backend(FaultyBackend(rows.backend, lambda call, operation: call == 3), replace=True)
    async with rows.work() as work:
        await work.add_all([Document(title=str(i), file=pending()) for i in range(5)])
        with pytest.raises(StorageUnavailableError):
            await work.commit()
        await work.rollback()

    assert await rows.keys() == set()


async def test_a_savepoint_rolled_back_undoes_only_its_own(rows: Rows) -> None:
    """The get-or-create pattern: the inner row's object goes, the outer one's stays."""
    async with rows.work() as work:

        def get_or_create(session: Session) -> None:
            session.add(Document(title="outer", file=pending(b"outer")))
            session.flush()
            savepoint = session.begin_nested()
            session.add(Document(title="outer", file=pending(b"inner")))
            with pytest.raises(IntegrityError):
                session.flush()
            savepoint.rollback()

        await work.do(get_or_create)
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_released_savepoint_deletes_nothing_yet(rows: Rows) -> None:
    """A delete inside a released savepoint is undone with the outer transaction."""
    identity = await rows.add(title="t", file=pending(b"kept"))
    async with rows.work() as work:

        def delete_in_savepoint(session: Session) -> None:
            with session.begin_nested():
                session.delete(session.get_one(Document, identity))

        await work.do(delete_in_savepoint)
        await work.rollback()

    assert await rows.content(identity) == b"kept"


async def test_what_was_pending_before_a_savepoint_survives_its_rollback(rows: Rows) -> None:
    """A row that opening the savepoint flushed belongs to the outer transaction."""
    async with rows.work() as work:

        def savepoint(session: Session) -> None:
            session.add(Document(title="outer", file=pending()))
            session.begin_nested().rollback()

        await work.do(savepoint)
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_file_moved_to_another_row_lives_on(rows: Rows) -> None:
    """Deleting one row and giving its file to another in one transaction keeps the object."""
    identity = await rows.add(title="from", file=pending(b"moved"))
    async with rows.work() as work:

        def move(session: Session) -> None:
            old = session.get_one(Document, identity)
            session.add(Document(title="to", file=old.file))
            session.delete(old)

        await work.do(move)
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_two_rows_with_the_same_filename_have_two_objects(rows: Rows) -> None:
    """The same filename twice is two files, and deleting one row leaves the other's."""
    first = await rows.add(title="1", file=pending(b"one", "cv.pdf"))
    second = await rows.add(title="2", file=pending(b"two", "cv.pdf"))
    async with rows.work() as work:
        await work.do(lambda s: s.delete(s.get_one(Document, first)))
        await work.commit()

    assert await rows.content(second) == b"two"


async def test_thirty_commits_on_one_session_keep_thirty_files(rows: Rows) -> None:
    """Quick commits on one session share nothing."""
    async with rows.work() as work:
        for number in range(30):
            document = Document(title=str(number), file=pending(str(number).encode()))
            await work.do(lambda s, document=document: s.add(document))  # type: ignore[misc]
            await work.commit()

    assert len(await rows.keys()) == 30


async def test_two_commits_store_a_file_once(rows: Rows) -> None:
    """A second commit does not upload the first one's file again."""
    storages.register_backend(faulty := FaultyBackend(rows.backend, lambda call, operation: False), replace=True)
    async with rows.work() as work:
        document = Document(title="t", file=pending())
        await work.add(document)
        await work.commit()
        document.title = "u"
        await work.commit()

    assert faulty.calls == ["put"]


async def test_a_failing_delete_after_commit_is_left_to_the_sweeper(rows: Rows) -> None:
    """The commit stands when the store refuses the deletion that follows it, and the ledger remembers the object."""
    identity = await rows.add(title="t", file=pending())
    storages.register_backend(FaultyBackend(rows.backend, lambda call, op: op == "delete"), replace=True)
    async with rows.work() as work:
        await work.do(lambda s: s.delete(s.get_one(Document, identity)))
        await work.commit()

    assert len(await rows.keys()) == 1
    storages.register_backend(rows.backend, replace=True)
    swept = await rows.sweep()
    assert len(swept) == int(rows.has_ledger) == 1 - len(await rows.keys())
    await rows.backend.delete(*await rows.keys())


async def test_a_wrong_value_is_refused_when_it_is_assigned(rows: Rows) -> None:
    """A dict, a tuple or bytes where a file is wanted is a TypeError that says what to give."""
    for wrong in ({"backend": "rows", "path": "x"}, ("a.txt", b""), b"bytes", "text", 5):
        with pytest.raises(UnsupportedContentError, match="FileObject"):
            Document(title="t", file=wrong)


async def test_pending_content_never_becomes_a_row_in_silence(rows: Rows) -> None:
    """A Core insert, which no unit of work sees, refuses a file that nobody stored."""
    async with rows.work() as work:
        with pytest.raises(Exception, match="not stored yet") as caught:
            await work.do(
                lambda s: s.connection().execute(
                    insert(Base.metadata.tables["documents"]).values(title="t", file=pending())
                )
            )

    assert isinstance(caught.value.__cause__ or caught.value, PendingContentError)


async def test_metadata_and_type_come_back_from_the_row(rows: Rows) -> None:
    """Whatever the store can hold, the row remembers type and metadata of any text."""
    metadata = {"Kunde": "Müller\nSöhne", "empty": ""}
    identity = await rows.add(
        title="t", file=FileObject(filename="ü.pdf", content_type="application/pdf", metadata=metadata, content=b"x")
    )
    async with rows.work() as work:
        file = await work.do(lambda s: s.get_one(Document, identity).file)

    assert file is not None
    assert (file.filename, file.content_type, file.metadata) == ("ü.pdf", "application/pdf", metadata)


async def test_a_loaded_file_pickles_and_copies(rows: Rows) -> None:
    """A file from a row survives pickle and deepcopy as an equal value."""
    identity = await rows.add(title="t", file=pending(b"x"))
    async with rows.work() as work:
        file = await work.do(lambda s: s.get_one(Document, identity).file)

    assert file is not None
    for twin in (pickle.loads(pickle.dumps(file)), copy.deepcopy(file)):
        assert twin == file
        assert await twin.get_content_async() == b"x"


async def test_a_path_and_an_iterator_are_content(rows: Rows, tmp_path: Path) -> None:
    """A file on disk and a generator are stored like bytes."""
    (tmp_path / "b.bin").write_bytes(b"from disk")
    first = await rows.add(title="1", file=FileObject(filename="b.bin", content=tmp_path / "b.bin"))
    second = await rows.add(title="2", file=FileObject(filename="c", content=(part for part in (b"a", b"b"))))

    assert [await rows.content(first), await rows.content(second)] == [b"from disk", b"ab"]


async def test_rows_of_advanced_alchemy_are_read(rows: Rows) -> None:
    """Its JSON, unknown keys included, is a stored file whose filename is its path."""
    await rows.backend.put("a.txt", b"hello")
    theirs = {
        "filename": "a.txt", "content_type": "text/plain", "size": 5, "last_modified": 1795379941.47,
        "checksum": None, "etag": '"1"', "version_id": None, "metadata": {"k": "v"}, "backend": "rows", "extra": 1,
    }  # fmt: skip
    async with rows.work() as work:
        target = table("documents", column("title"), column("file", rows.json))
        await work.execute(insert(target).values(title="theirs", file=theirs))
        await work.commit()
        document = await work.do(lambda s: s.scalars(select(Document)).one())

    assert document.file is not None
    assert (document.file.path, document.file.metadata) == ("a.txt", {"k": "v"})
    assert await document.file.get_content_async() == b"hello"


async def test_a_file_that_a_client_stored_goes_into_a_row(rows: Rows) -> None:
    """A file named by its path is confirmed with the store at the flush, and belongs to the row from then on."""
    await rows.backend.put("from/client", b"direct")
    identity = await rows.add(title="t", file=FileObject("rows", "a.txt", path="from/client"))
    content = await rows.content(identity)
    async with rows.work() as work:
        await work.do(lambda s: s.delete(s.get_one(Document, identity)))
        await work.commit()

    assert content == b"direct"
    assert await rows.keys() == set()


async def test_a_path_that_a_row_holds_is_refused(rows: Rows) -> None:
    """Naming an object that a row holds already is refused, single or in a list, and the row keeps it."""
    first = await rows.add(title="1", file=FileObject("rows", path="ü 1", content=b"one"))
    await rows.add(title="2", pages=[FileObject("rows", path="b", content=b"two")])
    for path in ("ü 1", "b"):
        async with rows.work() as work:
            again = FileObject("rows", path=path)
            await work.do(lambda s, file=again: s.add(Document(title="3", file=file)))  # type: ignore[misc]
            with pytest.raises(SharedFileError):
                await work.commit()

    assert await rows.content(first) == b"one"


async def test_a_path_where_nothing_is_fails_the_flush(rows: Rows) -> None:
    """A row never points to an object that is not there."""
    async with rows.work() as work:
        await work.add(Document(title="t", file=FileObject("rows", path="nothing")))
        with pytest.raises(ObjectNotFoundError):
            await work.commit()
