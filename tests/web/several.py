"""A model with a required file, an optional one and a list, and one with a list alone, behind routers."""

from fastapi import FastAPI
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, StoredObject
from tests.web.models import Base


class Entry(Base):
    """A row with a column of each kind."""

    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    cover: Mapped[FileObject] = mapped_column(StoredObject(backend="web", max_size=100))
    back: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))
    pages: Mapped[list[FileObject]] = mapped_column(StoredObject(backend="web", multiple=True, max_files=3))


class Pile(Base):
    """A row with a list and no other file."""

    __tablename__ = "piles"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    sheets: Mapped[list[FileObject]] = mapped_column(StoredObject(backend="web", multiple=True))


class Leaflet(Base):
    """A row with two files that may be missing, one of which has the name of a path."""

    __tablename__ = "leaflets"

    id: Mapped[int] = mapped_column(primary_key=True)
    scan: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


class Binder(Base):
    """A row with a list that has the name of a path, and one file beside it."""

    __tablename__ = "binders"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))
    file: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="web", multiple=True))


def several(app: FastAPI, files: Filestore) -> None:
    """Serve both."""
    app.include_router(files.router(Entry), prefix="/entries")
    app.include_router(files.router(Pile), prefix="/piles")
