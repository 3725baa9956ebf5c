"""Pages of rows with relations, which are read while the rows still come from the database."""

from typing import Any

import pytest
from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from fastapi_filestore import FileService, StorageBackend
from tests.servers.postgres import Databases


class Base(DeclarativeBase):
    """The tables of this file."""

    metadata = MetaData()


class Shelf(Base):
    """A row with others that are read at once, in each way that a page can have."""

    __tablename__ = "shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    room_id: Mapped[int | None] = mapped_column(ForeignKey("rooms.id"))
    room: Mapped["Room | None"] = relationship(lazy="joined")
    books: Mapped[list["Book"]] = relationship(lazy="selectin")
    joined: Mapped[list["Book"]] = relationship(lazy="joined", viewonly=True)
    others: Mapped[list["Book"]] = relationship(lazy="subquery", viewonly=True)


class Room(Base):
    """Where shelves are."""

    __tablename__ = "rooms"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelves: Mapped[list["Shelf"]] = relationship(lazy="joined", viewonly=True)


class Book(Base):
    """What is on a shelf."""

    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))


@pytest.mark.parametrize("driver", ["sqlite+aiosqlite", "postgresql+asyncpg", "postgresql+psycopg"])
@pytest.mark.parametrize("limit", [50, 500])
async def test_relations_are_on_a_page(
    request: pytest.FixtureRequest, backend: StorageBackend, tmp_path: Any, driver: str, limit: int
) -> None:
    """Each row has its own, whether or not the page is read in several steps."""
    url = f"{driver}:///{tmp_path}/relations.db"
    if driver.startswith("postgresql"):
        databases: Databases = request.getfixturevalue("postgres_databases")
        url = databases.copy("relations", Base.metadata.create_all).url(driver)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add_all([Shelf(room=Room(), books=[Book(), Book()]) for _ in range(120)])
        await session.commit()
        session.expunge_all()
        page = await FileService(session, model=Shelf).list(limit=limit)
        found = [
            (len(row.room.shelves) if row.room else 0, len(row.books), len(row.joined), len(row.others))
            for row in page.items
        ]
    await engine.dispose()

    assert found == [(1, 2, 2, 2)] * min(limit, 120)
