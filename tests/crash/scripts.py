"""The scripted units of work. Each starts from the rows of `models.add_first_rows`, in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete as delete_rows
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, RowConflictError, storages
from fastapi_filestore.orm.ledger import DELETION, UPLOAD
from fastapi_filestore.service.sweep import sweep
from tests.crash.application import Application, Work
from tests.crash.models import BACKEND, LEDGER, Document, Note, pending
from tests.crash.points import PART

FIRST_OBJECTS = 8
"""Objects of the rows that each script finds."""

LITTER = "litter-"
"""Begins the keys of what earlier processes left, for a sweeper to settle."""

Act = Callable[[Application], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Script:
    """A unit of work, what happens before the first point, and what is special about it.

    Attributes:
        name: Its name.
        act: What is done.
        objects: How many objects the store holds when nothing went wrong; it begins with `FIRST_OBJECTS`.
        arrange: What is done before the first point.
        concurrent: It does several things at once, so that its points come in another order each time.
        in_parts: It uploads in parts, however short the content is.
        savepoints: It uses savepoints, which SQLite's driver gets wrong without SQLAlchemy's recipe.
    """

    name: str
    act: Act
    objects: int
    arrange: Act | None = None
    concurrent: bool = False
    in_parts: bool = False
    savepoints: bool = False


SCRIPTS: Final[dict[str, Script]] = {}


def script(
    change: int,
    *,
    arrange: Act | None = None,
    concurrent: bool = False,
    in_parts: bool = False,
    savepoints: bool = False,
) -> Callable[[Act], Act]:
    """Register a function as the script of its name; `change` is how many objects more it leaves in the end."""

    def register(act: Act) -> Act:
        objects = FIRST_OBJECTS + change
        SCRIPTS[act.__name__] = Script(act.__name__, act, objects, arrange, concurrent, in_parts, savepoints)
        return act

    return register


def unit(change: Callable[[Session], object]) -> Act:
    """Return the act of a unit of work that is one function of a session, committed."""

    async def act(application: Application) -> None:
        async with application.work() as work:
            await work.do(change)
            await work.commit()

    return act


def named(session: Session, title: str) -> Document:
    """Load a document."""
    return session.query(Document).filter_by(title=title).one()


def edit(change: Callable[[list[FileObject]], object]) -> Act:
    """Return the act of a unit of work that changes a list in place."""

    def edit_pages(session: Session) -> None:
        document = named(session, "one")
        assert document.pages is not None
        change(document.pages)

    return unit(edit_pages)


async def warm(application: Application) -> None:
    """Create a few rows, so that a block of keys is reserved when the script begins."""
    for number in range(4):
        await unit(lambda s, number=number: s.add(Document(title=f"warm {number}", file=pending("warm"))))(application)  # type: ignore[misc]


# -- one file --------------------------------------------------------------------------------------------


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


def _replace(session: Session) -> None:
    named(session, "one").file = pending("replaced")


@script(0)
async def replace(application: Application) -> None:
    """Put another file in a row's place."""
    await unit(_replace)(application)


@script(4, arrange=warm)
async def replace_with_reserved_key(application: Application) -> None:
    """The same with a key at hand, so that SQLite needs no exception."""
    await unit(_replace)(application)


@script(0)
async def replace_twice(application: Application) -> None:
    """The file in between belongs to no committed row ever."""

    def change(session: Session) -> None:
        _replace(session)
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
        _replace(session)
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


# -- lists -----------------------------------------------------------------------------------------------


@script(1)
async def append_to_list(application: Application) -> None:
    """One page more."""
    await edit(lambda pages: pages.append(pending("appended")))(application)


@script(-1)
async def pop_from_list(application: Application) -> None:
    """One page less."""
    await edit(lambda pages: pages.pop(0))(application)


@script(0)
async def reorder_list(application: Application) -> None:
    """The same pages in another order, by taking one out and putting it back."""
    await edit(lambda pages: pages.append(pages.pop(0)))(application)


@script(0)
async def edit_list(application: Application) -> None:
    """Replace, keep, drop, and add pages by assignment."""

    def change(session: Session) -> None:
        document = named(session, "one")
        first, _, third = document.pages or []
        document.pages = [third, pending("new"), first]
        session.flush()
        document.pages[1] = pending("newer")

    await unit(change)(application)


@script(-3)
async def clear_list(application: Application) -> None:
    """No page any more."""
    await edit(lambda pages: pages.clear())(application)


# -- several rows ----------------------------------------------------------------------------------------


@script(3, concurrent=True)
async def bulk(application: Application) -> None:
    """Several rows in one flush, whose files go at the same time."""

    def change(session: Session) -> None:
        session.add_all([Document(title=f"bulk {number}", file=pending("bulk")) for number in range(4)])
        _replace(session)
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


async def together(*works: Awaitable[None]) -> None:
    """Do several things at once, all to their end."""
    results = await asyncio.gather(*works, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise errors[0]


# -- savepoints and rollbacks ----------------------------------------------------------------------------


def _change_much(session: Session, name: str) -> None:
    session.add(Document(title=name, file=pending(name)))
    _replace(session)
    session.delete(named(session, "two"))
    session.flush()


@script(1, savepoints=True)
async def savepoint_released(application: Application) -> None:
    """What a released savepoint did counts when the outer transaction is committed."""

    def change(session: Session) -> None:
        session.add(Document(title="outer", file=pending("outer")))
        with session.begin_nested():
            _change_much(session, "inner")

    await unit(change)(application)


@script(2, savepoints=True)
async def savepoint_rolled_back(application: Application) -> None:
    """What a rolled-back savepoint did is undone, and only that."""

    def change(session: Session) -> None:
        session.add(Document(title="outer", file=pending("outer")))
        savepoint = session.begin_nested()
        _change_much(session, "inner")
        savepoint.rollback()
        named(session, "empty").file = pending("no longer")

    await unit(change)(application)


@script(0, savepoints=True)
async def savepoint_released_in_vain(application: Application) -> None:
    """A released savepoint goes with the outer transaction's rollback."""

    def change(session: Session) -> None:
        with session.begin_nested():
            _change_much(session, "inner")
        session.rollback()

    await unit(change)(application)


@script(1, savepoints=True)
async def savepoints_nested(application: Application) -> None:
    """A savepoint within another that is rolled back, between two that are released."""

    def change(session: Session) -> None:
        with session.begin_nested():
            named(session, "empty").file = pending("no longer")
        outer = session.begin_nested()
        with session.begin_nested():
            _change_much(session, "inner")
        outer.rollback()
        with session.begin_nested():
            named(session, "empty").file = pending("replaced")

    await unit(change)(application)


@script(0)
async def roll_back(application: Application) -> None:
    """A unit of work that is rolled back after its flush."""
    async with application.work() as work:
        await work.do(lambda session: _change_much(session, "new"))
        await work.rollback()


@script(0)
async def close(application: Application) -> None:
    """A session that is closed without a commit."""
    async with application.work() as work:
        await work.do(lambda session: _change_much(session, "new"))


@script(1)
async def violate_constraint(application: Application) -> None:
    """A row that the database refuses, a rollback, and another one."""
    async with application.work() as work:
        await work.do(lambda session: session.add(Document(title="one", file=pending("refused"))))
        with suppress(IntegrityError):
            await work.commit()
        await work.rollback()
        await work.do(lambda session: session.add(Document(title="new", file=pending("new"))))
        await work.commit()


# -- statements, and rows in the place of others ---------------------------------------------------------


@script(-1)
async def bulk_statements(application: Application) -> None:
    """Insert two rows, replace a file, take another away, and delete rows with files, each by one statement."""

    def change(session: Session) -> None:
        values = [{"title": f"inserted {number}", "file": pending("inserted")} for number in range(2)]
        session.execute(insert(Document), values)
        session.execute(update(Document).where(Document.title == "one").values(file=pending("replaced")))
        session.execute(update(Document).where(Document.title == "two").values(file=None))
        session.execute(delete_rows(Note))

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


# -- the service -----------------------------------------------------------------------------------------


async def _identity(work: Work, title: str) -> int:
    identity = (await work.document(title)).id
    await work.rollback()
    return identity


@script(2)
async def service_create(application: Application) -> None:
    """The service's way to add a row."""
    async with application.work() as work, work.service().unit_of_work() as service:
        await service.create({"title": "new", "file": pending("new"), "pages": [pending("new page")]})


@script(0)
async def service_update(application: Application) -> None:
    """The service's way to replace a file."""
    async with application.work() as work:
        identity = await _identity(work, "one")
        async with work.service().unit_of_work() as service:
            await service.update(identity, {"title": "renamed", "file": pending("replaced")})


@script(-4)
async def service_delete(application: Application) -> None:
    """The service's way to delete a row."""
    async with application.work() as work:
        identity = await _identity(work, "one")
        async with work.service().unit_of_work() as service:
            await service.delete(identity)


@script(0)
async def service_conflict(application: Application) -> None:
    """A row that the database refuses to the service."""
    async with application.work() as work:
        with suppress(RowConflictError):
            async with work.service().unit_of_work() as service:
                await service.create({"title": "one", "file": pending("refused")})


# -- the sweeper -----------------------------------------------------------------------------------------


async def leave_litter(application: Application) -> None:
    """Leave what crashed processes leave: objects with intents of either kind, and intents without an object."""
    backend = storages.get_backend(BACKEND)
    litter = {f"{LITTER}{number}": DELETION if number % 2 else UPLOAD for number in range(5)}
    for path in list(litter)[:3]:
        await backend.put(path, b"litter")
    intents = [{"backend": BACKEND, "path": path, "kind": kind, "due_at": 0.0} for path, kind in litter.items()]
    async with application.work() as work:
        await work.do(lambda session: session.execute(insert(LEDGER.table), intents))
        await work.commit()


async def sweep_all(application: Application) -> None:
    """Settle what is due, two intents at a time."""
    async for _ in sweep(application.engine, LEDGER, batch=2):
        pass


@script(0, arrange=leave_litter)
async def sweeper(application: Application) -> None:
    """The sweeper alone."""
    await sweep_all(application)


@script(1, arrange=leave_litter, concurrent=True)
async def sweeper_beside(application: Application) -> None:
    """The sweeper beside a unit of work, in one process."""

    def change(session: Session) -> None:
        _change_much(session, "new")
        session.add(Note(document_id=named(session, "parent").id, file=pending("note")))

    await together(sweep_all(application), unit(change)(application))


@script(0, arrange=leave_litter, concurrent=True)
async def two_sweepers(application: Application) -> None:
    """Two sweepers at once."""
    await together(sweep_all(application), sweep_all(application))
