"""The order that rows are locked in: whoever waits for another transaction is not what that one waits for."""

import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, text, update
from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.column.attributes import file_attribute
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.service.rows import Rows as ServiceRows
from tests.rows.conftest import Rows, pending
from tests.rows.models import Author, Document, Person

ON_POSTGRES = pytest.mark.parametrize("rows", ["postgres-sync", "postgres-async"], indirect=True)
LONGEST = 20.0
"""Seconds for another transaction to come to where it waits."""


async def _author(rows: Rows) -> int:
    async with rows.work() as work:
        author = Author(photo=pending(filename="photo"), essay=pending(filename="essay"))
        await work.add(author)
        await work.commit()
        return await work.do(lambda session: author.id)


def _locks(statements: list[str]) -> list[str]:
    return [statement.split("FROM ")[1].split()[0] for statement in statements if "FOR UPDATE" in statement]


def _another_program(rows: Rows, work: Callable[[Session], object]) -> None:
    """Do something in a session of its own, and commit it."""
    engine = create_engine(rows.engine.url.set(drivername="postgresql+psycopg"))
    with Session(engine) as session:
        work(session)
        session.commit()
    run_blocking(release_reservations())
    engine.dispose()


def _wait_for_waiting(session: Session) -> None:
    """Return when a transaction waits for a lock that this one has."""
    end = time.monotonic() + LONGEST
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    while not session.scalar(waiting):
        assert time.monotonic() < end, "nobody waits"
        time.sleep(0.02)


@ON_POSTGRES
@pytest.mark.parametrize("writes", ["photo", "by a statement", "nothing"])
async def test_a_file_of_an_heir_beside_one_of_its_base(rows: Rows, writes: str) -> None:
    """One that has locked a file in the table of a class waits for nobody who writes the table of its base first."""
    identity = await _author(rows)

    def replace_photo(session: Session) -> None:
        row = session.get_one(Author, identity)
        if writes == "photo":
            row.photo = pending(b"other photo")
        elif writes == "nothing":
            session.delete(row)
        else:
            session.execute(update(Person).where(Person.id == identity).values(photo=pending(b"by a statement")))
            row.essay = pending(b"their essay")

    async with rows.work() as work:
        await work.do(lambda s: ServiceRows(Author).lock_files(s, identity, file_attribute(Author, "essay")))
        other = asyncio.create_task(asyncio.to_thread(_another_program, rows, replace_photo))
        await work.do(_wait_for_waiting)
        await work.do(lambda s: ServiceRows(Author).change(s, identity, {"photo": pending(b"first"), "kind": "author"}))
        await work.commit()
    await other

    assert len(await rows.keys()) == (0 if writes == "nothing" else 2)


@ON_POSTGRES
async def test_base_first_and_by_key(rows: Rows) -> None:
    """A flush locks rows as SQLAlchemy writes them: the table that all classes have first, each by its keys."""
    identities = [await _author(rows) for _ in range(2)]
    async with rows.work() as work:
        person = Person(photo=pending())
        await work.add(person)
        await work.commit()

        def change(session: Session) -> None:
            for row in (session.get_one(Author, identities[1]), person, session.get_one(Author, identities[0])):
                row.photo = pending()
            session.flush()

        with rows.statements() as statements:
            await work.do(change)
        await work.commit()
    locks = [statement for statement in statements if "FOR UPDATE" in statement]

    assert _locks(statements) == ["people", "people", "authors", "people", "authors"]
    assert "ORDER BY people.id" in locks[0]


@ON_POSTGRES
async def test_what_an_heir_alone_holds(rows: Rows) -> None:
    """Who locks a file in the table of a class locks the row of its base before, which may be written afterwards."""
    identity = await _author(rows)
    essay = file_attribute(Author, "essay")
    async with rows.work() as work:
        with rows.statements() as statements:
            await work.do(lambda s: ServiceRows(Author).lock_files(s, identity, essay))

    assert _locks(statements) == ["people", "authors"]


@ON_POSTGRES
async def test_rows_of_a_statement(rows: Rows) -> None:
    """A bulk statement locks the rows that it is about in the order of their keys."""
    for number in range(2):
        await rows.add(title=f"t{number}", file=pending())
    async with rows.work() as work:
        with rows.statements() as statements:
            await work.execute(update(Document).where(Document.title.like("t%")).values(file=None))
        await work.commit()
    locks = [statement for statement in statements if "FOR UPDATE" in statement]

    assert locks
    assert all("ORDER BY documents.id" in lock for lock in locks)
