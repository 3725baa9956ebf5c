"""Several rows: in one flush, in two sessions, by statements, and in the place of others."""

from contextlib import suppress

from sqlalchemy import delete, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.crash.application import Application
from tests.crash.models import Document, Note, pending
from tests.crash.scripts.script import named, replace_file, script, together, unit


@script(3, concurrent=True)
async def bulk(application: Application) -> None:
    """Several rows in one flush, whose files go at the same time."""

    def change(session: Session) -> None:
        session.add_all([Document(title=f"bulk {number}", file=pending("bulk")) for number in range(4)])
        replace_file(session)
        session.delete(named(session, "two"))

    await unit(change)(application)


@script(1, concurrent=True)
async def two_sessions(application: Application) -> None:
    """Two sessions at once, on different rows."""

    def change_one(session: Session) -> None:
        session.add(Document(title="new one", file=pending("new one")))
        session.flush()
        named(session, "one").file = pending("replaced")

    def change_two(session: Session) -> None:
        session.add(Document(title="new two", file=pending("new two")))
        session.flush()
        session.delete(named(session, "two"))

    await together(unit(change_one)(application), unit(change_two)(application))


@script(-1)
async def bulk_statements(application: Application) -> None:
    """Insert two rows, replace a file, take another away, and delete rows with files, each by one statement."""

    def change(session: Session) -> None:
        values = [{"title": f"inserted {number}", "file": pending("inserted")} for number in range(2)]
        session.execute(insert(Document), values)
        session.execute(update(Document).where(Document.title == "one").values(file=pending("replaced")))
        session.execute(update(Document).where(Document.title == "two").values(file=None))
        session.execute(delete(Note))

    await unit(change)(application)


@script(1)
async def bulk_statement_fails(application: Application) -> None:
    """A statement fails half-way; whoever catches the error commits what else there is."""

    def change(session: Session) -> None:
        session.add(Document(title="beside", file=pending("beside")))
        session.flush()
        taken = [{"title": title, "file": pending("refused")} for title in ("new", "one")]
        with suppress(IntegrityError):
            session.execute(insert(Document), taken)

    await unit(change)(application)


@script(-3)
async def row_in_the_place_of_another(application: Application) -> None:
    """A row is deleted and another one written with its key: what it does not set stays."""

    def change(session: Session) -> None:
        document = named(session, "one")
        session.delete(document)
        session.add(Document(id=document.id, title="new", pages=None))

    await unit(change)(application)


@script(-2)
async def orphans_that_change(application: Application) -> None:
    """Children are given away, get new files, and go as orphans, all in one flush."""

    def change(session: Session) -> None:
        parent = named(session, "parent")
        first, second = parent.notes
        parent.file, first.file = first.file, None
        second.file = pending("for nobody")
        parent.notes.clear()

    await unit(change)(application)
