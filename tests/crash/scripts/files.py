"""Rows with one file: created, replaced, deleted, moved."""

from collections.abc import AsyncIterator

from sqlalchemy.orm import Session

from fastapi_filestore import FileObject
from tests.crash.application import Application
from tests.crash.models import Document, pending
from tests.crash.points import PART
from tests.crash.scripts.script import named, replace_file, script, unit

PIECE = 300_000
"""Bytes that a folder's upload writes at once."""


async def warm(application: Application) -> None:
    """Create a few rows, so that a block of keys is reserved when the script begins."""
    for number in range(4):
        await unit(lambda s, number=number: s.add(Document(title=f"warm {number}", file=pending("warm"))))(application)  # type: ignore[misc]


@script(3)
async def create(application: Application) -> None:
    """Add a row with a file and pages."""
    document = Document(title="new", file=pending("new"), pages=[pending("new page one"), pending("new page two")])
    await unit(lambda session: session.add(document))(application)


@script(3)
async def create_again_and_again(application: Application) -> None:
    """Three units of work on one session, after which some reserved keys stay unused."""
    async with application.work() as work:
        for number in range(3):
            document = Document(title=f"new {number}", file=pending("new"))
            await work.do(lambda session, document=document: session.add(document))  # type: ignore[misc]
            await work.commit()


@script(2)
async def create_and_flush(application: Application) -> None:
    """Flush twice before the commit."""

    def change(session: Session) -> None:
        session.add(Document(title="first", file=pending("first")))
        session.flush()
        session.add(Document(title="second", file=pending("second")))
        session.flush()

    await unit(change)(application)


@script(0)
async def replace(application: Application) -> None:
    """Put another file in a row's place."""
    await unit(replace_file)(application)


@script(4, arrange=warm)
async def replace_with_reserved_key(application: Application) -> None:
    """The same with a key at hand, so that SQLite needs no exception."""
    await unit(replace_file)(application)


@script(0)
async def replace_twice(application: Application) -> None:
    """The file in between belongs to no committed row ever."""

    def change(session: Session) -> None:
        replace_file(session)
        session.flush()
        named(session, "one").file = pending("replaced again")

    await unit(change)(application)


@script(0)
async def replace_from_stale_copies(application: Application) -> None:
    """Two sessions load a row; both replace its file, one after the other."""
    async with application.work() as first, application.work() as second:
        documents = [await work.document("one") for work in (first, second)]
        for work in (first, second):
            await work.do(lambda session: session.expunge_all())
            await work.rollback()
        for work, document in zip((first, second), documents, strict=True):
            await work.do(lambda session, document=document: session.add(document))  # type: ignore[misc]
            document.file = pending("replaced")
            await work.commit()


@script(-1)
async def set_none(application: Application) -> None:
    """Take a row's file away."""

    def change(session: Session) -> None:
        named(session, "one").file = None

    await unit(change)(application)


@script(-4)
async def delete(application: Application) -> None:
    """Delete a row with a file and pages."""
    await unit(lambda session: session.delete(named(session, "one")))(application)


@script(-3)
async def delete_with_children(application: Application) -> None:
    """Delete a row whose children have files, too."""
    await unit(lambda session: session.delete(named(session, "parent")))(application)


@script(-4)
async def replace_and_delete(application: Application) -> None:
    """Replace one row's file, delete that row, replace another's."""

    def change(session: Session) -> None:
        replace_file(session)
        session.flush()
        session.delete(named(session, "one"))
        named(session, "two").file = pending("replaced")

    await unit(change)(application)


@script(0)
async def move(application: Application) -> None:
    """Give a deleted row's file to a new one."""

    def change(session: Session) -> None:
        old = named(session, "two")
        session.add(Document(title="new", file=old.file))
        session.delete(old)

    await unit(change)(application)


@script(0)
async def swap(application: Application) -> None:
    """Two rows exchange their files."""

    def change(session: Session) -> None:
        one, two = named(session, "one"), named(session, "two")
        one.file, two.file = two.file, one.file

    await unit(change)(application)


@script(0)
async def move_in_two_flushes(application: Application) -> None:
    """A file that no row holds between two flushes ends up in another row."""

    def change(session: Session) -> None:
        two = named(session, "two")
        file, two.file = two.file, None
        session.flush()
        named(session, "empty").file = file

    await unit(change)(application)


@script(1, in_parts=True)
async def create_in_parts(application: Application) -> None:
    """Upload more than one part, and die in the middle of it."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(PART // 2 + 1)

    file = FileObject(filename="big", content=pieces())
    await unit(lambda session: session.add(Document(title="big", file=file)))(application)


@script(1, on_disk=True)
async def create_staged(application: Application) -> None:
    """Upload a file that a folder stages while it comes, then a short one, and die with either half written."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield bytes(PIECE)

    file = FileObject(filename="long", content=pieces())
    await unit(lambda session: session.add(Document(title="long", file=file)))(application)
    await unit(replace_file)(application)
