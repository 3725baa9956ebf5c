"""Rows that change while a flush is under way: by listeners, by SQLAlchemy itself, and in the place of others."""

import pytest
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, SharedFileError, UnsupportedStatementError
from tests.rows.conftest import Rows, pending
from tests.rows.listening import listening
from tests.rows.models import Badge, Document, Label, Person


async def test_a_row_in_the_place_of_a_deleted_one_keeps_what_it_does_not_set(rows: Rows) -> None:
    """SQLAlchemy updates such a row with what is set alone, so it still points to the file of the one before."""
    identity = await rows.add(title="a", file=pending(b"kept"))
    async with rows.work() as work:
        await work.delete(await work.get(Document, identity))
        await work.add(Document(id=identity, title="b"))
        await work.commit()

    assert await rows.content(identity) == b"kept"


@pytest.mark.parametrize("content", [b"new", None])
async def test_a_row_in_the_place_of_a_deleted_one_replaces_what_it_sets(rows: Rows, content: bytes | None) -> None:
    """The file of the row before goes if the new row has another one, or says that it has none."""
    identity = await rows.add(title="a", file=pending(b"old"))
    file = None if content is None else pending(content)
    async with rows.work() as work:
        await work.delete(await work.get(Document, identity))
        await work.add(Document(id=identity, title="b", file=file))
        await work.commit()

    assert await rows.content(identity) == content
    assert len(await rows.keys()) == (content is not None)


async def test_a_child_in_the_place_of_an_orphan_replaces_its_file(rows: Rows) -> None:
    """A one-to-one child whose key is its parent's is replaced in place."""
    async with rows.work() as work:
        person = Person(badge=Badge(scan=pending(b"old")))
        await work.add(person)
        await work.commit()

        def replace(session: Session) -> None:
            session.get_one(Person, person.id).badge = Badge(scan=pending(b"new"))

        await work.refresh(person)
        await work.do(replace)
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_row_that_a_listener_keeps_keeps_its_file(rows: Rows) -> None:
    """Soft deletion: whoever listens to a flush may take a row back that was to be deleted."""
    identity = await rows.add(title="a", file=pending(b"kept"))

    def keep(session: Session, *_: object) -> None:
        for row in list(session.deleted):
            session.add(row)
            row.title = "deleted"

    async with rows.work() as work:
        session = work.plain_session
        with listening(session, "before_flush", keep):
            await work.delete(await work.get(Document, identity))
            await work.commit()

    assert await rows.content(identity) == b"kept"


@pytest.mark.parametrize("content", [b"new", None])
async def test_a_file_that_a_listener_changes_at_flush_is_replaced(rows: Rows, content: bytes | None) -> None:
    """What counts is the row as it is written, after all that listens to the flush."""
    identity = await rows.add(title="a", file=pending(b"old"))

    def change(session: Session, *_: object) -> None:
        for row in session.dirty:
            row.file = None if content is None else pending(content)

    async with rows.work() as work:
        session = work.plain_session
        with listening(session, "before_flush", change):
            (await work.get(Document, identity)).title = "b"
            await work.commit()

    assert await rows.content(identity) == content


async def test_a_row_that_a_listener_adds_has_its_file(rows: Rows) -> None:
    """A listener that writes an audit row with a file needs no flush of its own."""

    def audit(session: Session, *_: object) -> None:
        if not any(row.title == "audit" for row in session.new):
            session.add(Document(title="audit", file=pending(b"audit")))

    async with rows.work() as work:
        session = work.plain_session
        with listening(session, "before_flush", audit):
            await work.add(Document(title="a"))
            await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_file_that_a_mapper_event_drops_goes(rows: Rows) -> None:
    """A listener of the mapper changes the row in the middle of its writing."""
    identity = await rows.add(title="a", file=pending(b"old"))

    def drop(mapper: object, connection: object, row: Document) -> None:
        row.file = None

    async with rows.work() as work:
        with listening(Document, "before_update", drop):
            (await work.get(Document, identity)).title = "b"
            await work.commit()

    assert await rows.content(identity) is None
    assert await rows.keys() == set()


async def test_a_file_that_a_mapper_event_keeps_stays(rows: Rows) -> None:
    """A listener of the mapper takes a replacement back: the new file goes, the old one stays."""
    identity = await rows.add(title="a", file=pending(b"old"))

    def take_back(mapper: object, connection: object, row: Document) -> None:
        row.file = old

    async with rows.work() as work:
        document = await work.get(Document, identity)
        old = document.file
        with listening(Document, "before_update", take_back):
            document.file, document.title = pending(b"new"), "b"
            await work.commit()

    assert await rows.content(identity) == b"old"


async def test_a_saved_file_that_a_mapper_event_sets_goes_with_a_rollback(rows: Rows) -> None:
    """Bytes that were stored by hand are undone with the row that a listener gave them to."""
    saved = FileObject("rows", "a.txt", content=b"saved")
    await saved.save_async()

    def give(mapper: object, connection: object, row: Document) -> None:
        row.file = saved

    async with rows.work() as work:
        with listening(Document, "before_insert", give):
            await work.add(Document(title="a"))
            await work.flush()
            await work.rollback()

    assert await rows.keys() == set()


@pytest.mark.parametrize("new", ["none", "saved", "pending"])
@pytest.mark.parametrize("when", ["after_insert", "after_update"])
async def test_a_file_that_a_mapper_event_sets_too_late_is_refused(rows: Rows, when: str, new: str) -> None:
    """SQLAlchemy writes nothing that is set after the row: its old file stays, and so does no other."""
    identity = await rows.add(title="a", file=pending(b"old"))
    saved = await FileObject("rows", "a.txt", content=b"saved").save_async() if new == "saved" else None

    def set_late(mapper: object, connection: object, row: Document) -> None:
        row.file = pending(b"late") if new == "pending" else saved

    async with rows.work() as work:
        with listening(Document, when, set_late):
            if when == "after_insert":
                await work.add(Document(title="b", file=pending(b"b")))
            else:
                (await work.get(Document, identity)).title = "b"
            with pytest.raises(UnsupportedStatementError, match=r"Document\.file was set by a listener.*before_flush"):
                await work.commit()
        await work.rollback()

    assert await rows.content(identity) == b"old"
    assert len(await rows.keys()) == 1


async def test_another_row_that_a_mapper_event_changes_is_refused(rows: Rows) -> None:
    """A row that was not to be written when another one is keeps its file: SQLAlchemy forgets the change."""
    identity = await rows.add(title="a", file=pending(b"old"))

    async with rows.work() as work:
        other = await work.get(Document, identity)

        def clear(mapper: object, connection: object, row: Document) -> None:
            other.file = None

        await work.add(Document(title="b"))
        with listening(Document, "before_insert", clear), pytest.raises(UnsupportedStatementError, match="listener"):
            await work.commit()
        await work.rollback()

    assert await rows.content(identity) == b"old"


async def test_a_file_that_a_listener_shares_at_the_commit_is_refused(rows: Rows) -> None:
    """The check for shared files sees what the last listener before the COMMIT does."""
    first, second = [await rows.add(title=name, file=pending(name.encode())) for name in "ab"]

    def share(session: Session) -> None:
        session.get_one(Document, second).file = session.get_one(Document, first).file

    async with rows.work() as work:
        session = work.plain_session
        with listening(session, "before_commit", share):
            (await work.get(Document, first)).title = "c"
            with pytest.raises(SharedFileError):
                await work.commit()
            await work.rollback()

    assert [await rows.content(each) for each in (first, second)] == [b"a", b"b"]


async def test_a_key_that_the_database_spells_its_own_way_is_found(rows: Rows) -> None:
    """PostgreSQL pads a CHAR with blanks; the row is the same."""
    async with rows.work(expire_on_commit=False) as work:
        label = Label(code="abc", file=pending(b"old"))
        await work.add(label)
        await work.commit()
        label.file = pending(b"new")
        await work.commit()

    assert len(await rows.keys()) == 1
