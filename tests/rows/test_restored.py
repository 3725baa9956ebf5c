"""After a database came back from yesterday, each of its rows has its file."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from fastapi_filestore import FindingKind, ObstoreBackend, sweep
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from tests.rows.cabinet import PLAIN, TRIGGERED, Cabinet
from tests.rows.conftest import pending
from tests.servers.postgres import Databases, Postgres


@pytest.mark.parametrize("triggers", [False, True])
async def test_an_older_database_finds_every_file(tmp_path: Path, backend: ObstoreBackend, triggers: bool) -> None:
    """After a copy of SQLite's file is put back, each of its rows has its file, whatever was done and swept since."""
    kind, file = TRIGGERED if triggers else PLAIN, tmp_path / "kept.db"
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False})
    await run_on_engine(engine, kind.base.metadata.create_all)
    cabinet = Cabinet(engine, kind, backend)
    contents = await fill(cabinet)
    engine.dispose()
    shutil.copy(file, tmp_path / "yesterday.db")
    await go_on(cabinet)
    engine.dispose()
    shutil.copy(tmp_path / "yesterday.db", file)

    await check_all(cabinet, contents)
    engine.dispose()


@pytest.mark.parametrize("triggers", [False, True])
async def test_an_older_postgresql_finds_every_file(
    postgres: Postgres, postgres_databases: Databases, backend: ObstoreBackend, triggers: bool
) -> None:
    """So it is with a PostgreSQL that is restored."""
    kind = TRIGGERED if triggers else PLAIN
    database = postgres_databases.copy("kept-triggers" if triggers else "kept", kind.base.metadata.create_all)
    yesterday = replace(database, database=f"{database.database}_yesterday")
    engine = create_async_engine(database.url("postgresql+asyncpg"))
    cabinet = Cabinet(engine, kind, backend)
    contents = await fill(cabinet)
    await engine.dispose()
    postgres.execute(f"CREATE DATABASE {yesterday.database} TEMPLATE {database.database}")
    await go_on(cabinet)
    await engine.dispose()

    restored = create_async_engine(yesterday.url("postgresql+asyncpg"))
    await check_all(Cabinet(restored, kind, backend), contents)
    await restored.dispose()
    postgres.execute(f"DROP DATABASE {yesterday.database} WITH (FORCE)")


async def fill(cabinet: Cabinet) -> dict[int, list[bytes]]:
    """Write rows, delete some, and return the contents of the others."""
    rows = [
        await cabinet.add(file=pending(b"file %d" % number), pages=[pending(b"page %d" % number), pending(b"last")])
        for number in range(8)
    ]
    await cabinet.remove(rows.pop().id)
    return {row.id: [b"file %d" % (row.id - 1), b"page %d" % (row.id - 1), b"last"] for row in rows}


async def go_on(cabinet: Cabinet) -> None:
    """Do what a day brings: delete, replace, clear, move, undelete, in a session, in bulk and, with triggers, raw."""

    def change(session: Session) -> None:
        one, two, three, four = (session.get_one(cabinet.model, identity) for identity in (1, 2, 3, 4))
        session.delete(one)
        two.file, three.file = pending(b"another"), None
        four.pages = [two.pages[0]]
        two.pages = []

    await cabinet.do(change)
    await cabinet.execute(delete(cabinet.model).where(cabinet.model.id == 5))
    await cabinet.add(file=pending(b"of today"))
    if cabinet.family is TRIGGERED:
        await cabinet.execute(text("DELETE FROM papers WHERE id IN (6, 4)"))
    await release_reservations()
    assert [swept async for swept in sweep(cabinet.engine, cabinet.family.ledger)] == []


async def check_all(cabinet: Cabinet, contents: dict[int, list[bytes]]) -> None:
    """Assert that rows have their files, before a sweep and after one that finds everything due."""
    assert await contents_of(cabinet) == contents
    await cabinet.let_fall_due()
    await cabinet.sweep()
    assert await contents_of(cabinet) == contents
    assert [finding for finding in await cabinet.audit() if finding.kind is not FindingKind.ORPHAN] == []


async def contents_of(cabinet: Cabinet) -> dict[int, list[bytes]]:
    """Return the bytes of the files of each row."""
    rows = {row.id: [row.file, *row.pages] for row in await cabinet.rows()}
    return {identity: [await file.get_content_async() for file in files] for identity, files in rows.items()}
