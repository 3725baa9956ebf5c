"""Tables whose columns have rules, and the databases and sessions that write them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, StorageBackend, StoredObject, UploadError, add_ledger
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.service.sweep.sweep import sweep
from fastapi_filestore.testing import assert_no_orphans
from tests.rows.conftest import Work
from tests.servers.postgres import Databases

VIRUS = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class NoGif:
    """Refuses GIF pictures by their first bytes."""

    async def validate(self, head: bytes, upload: Any) -> None:
        """Look at the beginning."""
        if head.startswith(b"GIF8"):
            raise UploadError(f"{upload.filename} is a GIF picture.")


class VirusScan:
    """Reads the stored object, all of it, as a virus scanner does."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int | None]] = []

    async def validate_object(self, file: FileObject) -> None:
        """Look for the signature that every scanner knows, wherever it is."""
        self.seen.append((file.filename, file.size))
        rest = b""
        async for chunk in await file.open_async():
            rest = rest[-len(VIRUS) :] + chunk
            if VIRUS in rest:
                raise UploadError(f"{file.filename} holds a virus.")


SCAN = VirusScan()


class Base(DeclarativeBase):
    """The gallery's tables."""


LEDGER = add_ledger(Base.metadata)


class Picture(Base):
    """A row with one file under every rule, one under none, and a list."""

    __tablename__ = "pictures"

    id: Mapped[int] = mapped_column(primary_key=True)
    image: Mapped[FileObject | None] = mapped_column(
        StoredObject(
            backend="gallery", max_size="1 MiB", content_types=["image/*"], sniff=True, validators=[NoGif(), SCAN]
        )
    )
    anything: Mapped[FileObject | None] = mapped_column(StoredObject(backend="gallery"))
    details: Mapped[list[FileObject] | None] = mapped_column(
        StoredObject(backend="gallery", multiple=True, max_files=2, max_size=5000, sniff=True)
    )


class Before(DeclarativeBase):
    """The gallery's tables as they were before there were rules."""


class OldPicture(Before):
    """A row that took whatever came."""

    __tablename__ = "pictures"

    id: Mapped[int] = mapped_column(primary_key=True)
    details: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="gallery", multiple=True))


class Gallery:
    """A database with the gallery's tables, beside a store."""

    def __init__(self, engine: Engine | AsyncEngine, backend: StorageBackend) -> None:
        self.engine, self.backend = engine, backend

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Work]:
        """Open a session and close it at the end."""
        make: Any = AsyncSession if isinstance(self.engine, AsyncEngine) else Session
        work = Work(make(self.engine, expire_on_commit=False))
        try:
            yield work
        finally:
            await work.close()

    async def add(self, **values: Any) -> int:
        """Commit a picture and return its id."""
        async with self.work() as work:
            picture = Picture(**values)
            await work.add(picture)
            await work.commit()
            return picture.id

    async def change(self, identity: int, change: Callable[[Picture], None]) -> None:
        """Commit a change of a picture."""
        async with self.work() as work:
            await work.do(lambda session: change(session.get_one(Picture, identity)))
            await work.commit()

    async def refuse(self, error: type[Exception], match: str = ".", **values: Any) -> Any:
        """Assert that a picture is refused, that its session goes on, and that nothing is left; return the error."""
        before = await self.keys(), await self.rows()
        async with self.work() as work:
            picture = Picture(**values)
            await work.add(picture)
            with pytest.raises(error, match=match) as caught:
                await work.commit()
            await work.rollback()
            assert (await self.keys(), await self.rows()) == before
            empty = Picture()
            await work.add(empty)
            await work.commit()
            await work.delete(empty)
            await work.commit()
        await self.check()
        return caught.value

    async def refuse_object(self, file: FileObject) -> None:
        """Assert that a file whose bytes somebody else stored is refused."""
        async with self.work() as work:
            await work.add(Picture(image=file))
            with pytest.raises(UploadError):
                await work.commit()
            await work.rollback()

    async def keys(self) -> set[str]:
        """Return the keys of the objects in the store."""
        return {info.path async for info in self.backend.list()}

    async def rows(self) -> int:
        """Return the number of pictures."""
        async with self.work() as work:
            return await work.do(lambda session: session.scalar(select(func.count()).select_from(Picture)) or 0)

    async def check(self) -> None:
        """Assert that rows and objects agree."""
        async with self.work() as work:
            await assert_no_orphans(work.session, self.backend, Picture)

    async def settle(self) -> None:
        """Assert that nothing is left in the ledger that a sweeper would not settle."""
        await release_reservations()
        async with self.work() as work:
            await work.execute(LEDGER.table.update().values(due_at=0))
            await work.commit()
        async for _ in sweep(self.engine, LEDGER):
            pass
        async with self.work() as work:
            left = await work.scalars(select(LEDGER.table.c.path))
        assert left == []


def make_engine(kind: str, request: pytest.FixtureRequest, folder: Path) -> Engine | AsyncEngine:
    """Return the engine of a database of a kind."""
    match kind:
        case "sqlite-sync":
            return create_engine(f"sqlite:///{folder}/gallery.db", connect_args={"check_same_thread": False})
        case "sqlite-async":
            return create_async_engine(f"sqlite+aiosqlite:///{folder}/gallery.db")
        case _:
            databases: Databases = request.getfixturevalue("postgres_databases")
            return create_async_engine(databases.copy("gallery", Base.metadata.create_all).url("postgresql+asyncpg"))


@asynccontextmanager
async def open_gallery(engine: Engine | AsyncEngine, backend: StorageBackend) -> AsyncIterator[Gallery]:
    """Run a gallery, and check at its end that nothing is left behind."""
    if engine.dialect.name == "sqlite":
        await run_on_engine(engine.sync_engine if isinstance(engine, AsyncEngine) else engine, Base.metadata.create_all)
    gallery = Gallery(engine, backend)
    try:
        yield gallery
        await gallery.check()
        await gallery.settle()
    finally:
        await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))
