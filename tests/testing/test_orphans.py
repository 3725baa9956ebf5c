"""The look for objects without rows and rows without objects."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, ObstoreBackend, StoredObject, storages
from fastapi_filestore.testing import assert_no_orphans, memory_storage

__all__ = ["memory_storage"]


class Base(DeclarativeBase):
    """The tables of these tests."""


class Album(Base):
    """A row with one file and a list of files."""

    __tablename__ = "albums"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover: Mapped[FileObject | None] = mapped_column(StoredObject(backend="test"))
    photos: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="test", multiple=True))


def pending() -> FileObject:
    """A file whose bytes are still to be stored."""
    return FileObject(filename="a.txt", content=b"x")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session of a fresh database."""
    engine = create_engine(f"sqlite:///{tmp_path}/albums.db", connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def album(session: Session, memory_storage: ObstoreBackend) -> Album:
    """A committed album of three files."""
    album = Album(cover=pending(), photos=[pending(), pending()])
    session.add(album)
    session.commit()
    return album


async def test_agreement(session: Session, memory_storage: ObstoreBackend, album: Album) -> None:
    """Where rows and objects agree, nothing is said; single files and lists count."""
    await assert_no_orphans(session, memory_storage, Album)

    assert len([info async for info in memory_storage.list()]) == 3


async def test_an_orphan(session: Session, memory_storage: ObstoreBackend, album: Album) -> None:
    """An object that no row points to is named."""
    await memory_storage.put("stray", b"x")

    with pytest.raises(AssertionError, match=r"no row points to.*'stray'"):
        await assert_no_orphans(session, memory_storage, Album)


async def test_a_missing_object(session: Session, memory_storage: ObstoreBackend, album: Album) -> None:
    """An object that a row points to and that is not there is named."""
    cover = await asyncio.to_thread(lambda: album.cover)
    assert cover is not None
    await cover.delete_async()

    with pytest.raises(AssertionError, match=rf"not there.*{cover.path}"):
        await assert_no_orphans(session, memory_storage, Album)


async def test_a_missing_photo(session: Session, memory_storage: ObstoreBackend, album: Album) -> None:
    """An item of a list counts like any file."""
    photos = await asyncio.to_thread(lambda: album.photos)
    assert photos is not None
    await photos[1].delete_async()

    with pytest.raises(AssertionError, match=rf"not there.*{photos[1].path}"):
        await assert_no_orphans(session, memory_storage, Album)


async def test_every_backend(session: Session, memory_storage: ObstoreBackend, album: Album) -> None:
    """Without a backend all are looked at, and the message says in which one an object lies."""
    storages.register_backend(other := ObstoreBackend("other", "memory://"))
    await assert_no_orphans(session, None, Album)
    await other.put("stray", b"x")

    with pytest.raises(AssertionError, match=r"1 objects that no row points to, in backend 'other': \['stray'\]"):
        await assert_no_orphans(session, None, Album)
    storages.unregister_backend("other")
