"""Databases of every kind whose ledger keeps deleted files for a week."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_filestore import (
    ObstoreBackend,
)
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from tests.compiled import compiled_for
from tests.rows.cabinet import KINDS, PLAIN, TRIGGERED, Cabinet, Family
from tests.rows.conftest import begin_sqlite_properly
from tests.servers.postgres import Databases

HOURS = 7 * 24


@pytest.fixture(params=KINDS)
async def cabinet(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> AsyncIterator[Cabinet]:
    """Give each test a fresh database of every kind."""
    kind = TRIGGERED if "triggers" in request.param else PLAIN
    engine = make_engine(request, tmp_path, kind)
    cabinet = Cabinet(engine, kind, backend)
    if cabinet.plain.dialect.name == "sqlite":
        begin_sqlite_properly(cabinet.plain)
        await run_on_engine(cabinet.plain, kind.base.metadata.create_all)
    yield cabinet
    await release_reservations()
    await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))


def make_engine(request: pytest.FixtureRequest, folder: Path, kind: Family) -> Engine | AsyncEngine:
    """Return an engine of a kind with a database of its own."""
    options: dict[str, Any] = {}
    if request.param.startswith("sqlite-async"):
        url = f"sqlite+aiosqlite:///{folder}/kept.db"
    elif request.param.startswith("sqlite"):
        url, options = f"sqlite:///{folder}/kept.db", {"connect_args": {"check_same_thread": False}}
    else:
        databases: Databases = request.getfixturevalue("postgres_databases")
        database = databases.copy("kept-triggers" if kind is TRIGGERED else "kept", kind.base.metadata.create_all)
        url = database.url("postgresql+asyncpg" if "async" in request.param else "postgresql+psycopg")
    make: Any = create_async_engine if "async" in request.param else create_engine
    engine: Engine | AsyncEngine = make(url, execution_options=compiled_for(url), **options)
    return engine


async def copy_of_rows(cabinet: Cabinet) -> list[dict[str, Any]]:
    """Return what rows say, as a backup has it."""
    columns = [
        type_coerce(column, cabinet.json(None).type) if column.name != "id" else column
        for column in cabinet.family.table.c
    ]
    return await run_on_engine(
        cabinet.plain,
        lambda connection: [
            dict(zip(("id", "file", "pages"), row, strict=True)) for row in connection.execute(select(*columns))
        ],
    )


async def write_raw(cabinet: Cabinet, value: dict[str, Any], *, triggers: bool) -> None:
    """Write a row of a backup; without triggers where it would not be seen."""
    values = {name: each if name == "id" else cabinet.json(each) for name, each in value.items()}
    statements: list[Any] = [cabinet.family.table.insert().values(values)]
    if not triggers and cabinet.family is TRIGGERED:
        keep = select(cabinet.family.ledger.table)
        saved = await run_on_engine(cabinet.plain, lambda connection: connection.execute(keep).mappings().all())
        await cabinet.execute(*statements)
        await cabinet.execute(delete(cabinet.family.ledger.table))
        await cabinet.execute(*(cabinet.family.ledger.table.insert().values(dict(each)) for each in saved))
    else:
        await cabinet.execute(*statements)
