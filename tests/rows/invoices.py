"""Rows whose files are in folders, chosen by their column or by themselves."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import (
    FileObject,
    ObstoreBackend,
    StoredObject,
    add_ledger,
)
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from tests.rows.conftest import Work

GENERATED = "([0-9a-f]{2})/\\1[0-9a-f]{30}"


def of_tenant(row: Mapping[str, Any]) -> str:
    """Choose the folder of a row's tenant."""
    return f"tenants/{row['tenant']}/"


class Base(DeclarativeBase):
    """The suite's own tables, so that its ledger is its own."""


LEDGER = add_ledger(Base.metadata)


class Invoice(Base):
    """A row with a file in a folder of its column, and others in a folder of its tenant."""

    __tablename__ = "invoices"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str | None]
    region: Mapped[str] = mapped_column(default="eu")
    scan: Mapped[FileObject | None] = mapped_column(StoredObject("rows", prefix="invoices/"))
    letter: Mapped[FileObject | None] = mapped_column(StoredObject("rows", prefix=of_tenant))
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject("rows", multiple=True, prefix=of_tenant))
    note: Mapped[FileObject | None] = mapped_column(StoredObject("rows", prefix=lambda row: row["region"]))


@pytest.fixture(params=["sync", "async"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> AsyncIterator[Any]:
    """Give an engine whose database has the tables."""
    engine: Engine | AsyncEngine
    if request.param == "sync":
        engine = create_engine(f"sqlite:///{tmp_path / 'rows.db'}")
    else:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'rows.db'}")
    plain = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    await run_on_engine(plain, Base.metadata.create_all)
    yield engine
    await release_reservations()
    if isinstance(engine, AsyncEngine):
        await engine.dispose()
    else:
        engine.dispose()


@pytest.fixture
async def work(engine: Engine | AsyncEngine) -> AsyncIterator[Work]:
    """Give a session of either kind."""
    make: Any = AsyncSession if isinstance(engine, AsyncEngine) else Session
    work = Work(make(engine, expire_on_commit=False))
    yield work
    await work.close()


def pending(content: bytes = b"content") -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename="a.txt", content=content)


async def keys(backend: ObstoreBackend) -> list[str]:
    """Return the keys of the objects in the store."""
    return sorted([info.path async for info in backend.list()])


async def add(work: Work, **values: Any) -> Invoice:
    """Commit a row."""
    row = Invoice(**values)
    await work.add(row)
    await work.commit()
    return await work.get(Invoice, row.id, populate_existing=True)


def in_folder(folder: str, key: object) -> bool:
    """Tell whether a key is a generated one in a folder."""
    return re.fullmatch(re.escape(folder) + GENERATED, str(key)) is not None
