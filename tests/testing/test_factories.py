"""polyfactory makes up files for models and rows."""

from typing import Any

import pytest
from polyfactory import BaseFactory
from polyfactory.factories.pydantic_factory import ModelFactory
from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, ObstoreBackend, StoredObject
from fastapi_filestore.testing import assert_stored, memory_storage
from tests.project.page_programs import blocks

__all__ = ["memory_storage"]
pytestmark = pytest.mark.works_with("polyfactory")


class Base(DeclarativeBase):
    """The tables of these tests."""


class Album(Base):
    """A row with files of every kind."""

    __tablename__ = "made_up_albums"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover: Mapped[FileObject] = mapped_column(StoredObject("test"))
    back: Mapped[FileObject | None] = mapped_column(StoredObject("test"))
    photos: Mapped[list[FileObject]] = mapped_column(StoredObject("test", multiple=True))


class Shown(BaseModel):
    """The same as a response."""

    cover: FileObject
    back: FileObject | None
    photos: list[FileObject]


@pytest.fixture(autouse=True)
def provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell polyfactory of files, as the page says, for one test."""
    known = dict(BaseFactory._providers)  # noqa: SLF001 - it has no way to take one out again
    monkeypatch.setattr(BaseFactory, "_providers", known)
    exec(compile(blocks("docs/testing.md")[-1], "docs/testing.md", "exec"), {})  # noqa: S102 - it is ours


def test_rows(memory_storage: ObstoreBackend) -> None:
    """A factory stores rows whose files have bytes of their own."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:

        class AlbumFactory(SQLAlchemyFactory[Album]):
            __session__ = session

        for album in AlbumFactory.create_batch_sync(3):
            for file in filter(None, (album.cover, album.back, *album.photos)):
                assert_stored(file, f"File {file.filename[5:-4]}".encode())
    engine.dispose()


def test_models() -> None:
    """A factory of pydantic models fills in files, which are shown as in a response."""

    class ShownFactory(ModelFactory[Shown]):
        pass

    shown = ShownFactory.build()
    made: dict[str, Any] = shown.model_dump(mode="json")

    assert made["cover"]["filename"] == shown.cover.filename
    assert [photo["content_type"] for photo in made["photos"]] == ["text/plain"] * len(shown.photos)
