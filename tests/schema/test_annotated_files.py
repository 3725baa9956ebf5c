"""A file column and its annotation agree on whether it holds one file or several, else the class can't be used."""

from collections.abc import Sequence
from typing import Annotated, Any, NewType, Optional

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    declared_attr,
    mapped_column,
    registry,
)
from sqlmodel import Field, SQLModel

from fastapi_filestore import ConfigurationError, FileObject, StoredObject

Photos = NewType("Photos", list[FileObject])


class OwnFile(FileObject):
    """A class of files of the application's own."""


SEVERAL: list[Any] = [
    Mapped[list[FileObject]],
    Mapped[list[FileObject] | None],
    Mapped[Optional[list[FileObject]]],  # noqa: UP045 - a spelling that people use
    Mapped[Sequence[FileObject]],
    Mapped[Annotated[tuple[OwnFile, ...], "pages"]],
    Mapped[list["FileObject"]],
    Mapped[Photos],
    Mapped[list],  # type: ignore[type-arg]
    "Mapped[list[FileObject] | None]",
    list[FileObject],
]
ONE: list[Any] = [
    Mapped[FileObject],
    Mapped[FileObject | None],
    Mapped[Optional[OwnFile]],  # noqa: UP045
    Mapped[Annotated[FileObject, "cover"]],
    "Mapped[FileObject]",
    FileObject,
]
NEITHER: list[Any] = [
    Mapped[Any],
    Any,
    Mapped[dict[str, Any]],
    Mapped[FileObject | list[FileObject]],
]


def map_annotated(annotation: object, *, multiple: bool) -> None:
    """Map a class with a column of this annotation, and configure it as a start does."""
    own, stored = registry(), StoredObject(multiple=multiple)
    is_mapped = isinstance(annotation, str) or "Mapped[" in str(annotation)
    base = type("Base", (DeclarativeBase,), {"__module__": __name__, "registry": own, "__allow_unmapped__": True})
    columns = {
        "__module__": __name__,
        "__tablename__": "gallery",
        "__annotations__": {"id": Mapped[int], "photos": annotation},
        "id": mapped_column(primary_key=True),
        "photos": mapped_column(stored) if is_mapped else Column(stored),
    }
    type("Gallery", (base,), columns)
    try:
        own.configure()
    finally:
        own.dispose()


@pytest.mark.parametrize("annotation", SEVERAL, ids=str)
def test_several_in_a_column_of_one(annotation: object) -> None:
    """The error names the attribute, and what would do; the column of a list is right."""
    map_annotated(annotation, multiple=True)

    with pytest.raises(ConfigurationError, match=r"Gallery\.photos is annotated as several .*multiple=True"):
        map_annotated(annotation, multiple=False)


@pytest.mark.parametrize("annotation", ONE, ids=str)
def test_one_in_a_column_of_several(annotation: object) -> None:
    """The error names the attribute, and what would do; the column of one file is right."""
    map_annotated(annotation, multiple=False)

    with pytest.raises(ConfigurationError, match=r"Gallery\.photos is annotated as one file.* list\[FileObject\]"):
        map_annotated(annotation, multiple=True)


@pytest.mark.parametrize("multiple", [True, False])
@pytest.mark.parametrize("annotation", NEITHER, ids=str)
def test_an_annotation_that_says_neither(annotation: object, multiple: bool) -> None:
    """What is no word on files is taken as it is."""
    map_annotated(annotation, multiple=multiple)


def refuse_configuration(own: registry) -> str:
    """Configure classes of a registry, which is refused, and return the error's text."""
    with pytest.raises(ConfigurationError, match="is annotated as") as caught:
        own.configure()
    own.dispose()
    return str(caught.value)


class Kept:
    """A mixin that has the column."""

    photos: Mapped[list[FileObject]] = mapped_column(StoredObject())


class Made:
    """A mixin that makes the column for each class."""

    @declared_attr
    def photos(self) -> Mapped[list[FileObject]]:
        """Make the column."""
        return mapped_column(StoredObject())


@pytest.mark.parametrize("mixin", [Kept, Made])
@pytest.mark.parametrize("is_abstract", [True, False])
def test_mixins_and_bases(mixin: type, is_abstract: bool) -> None:
    """An annotation of a mixin, of an abstract base or of what a `declared_attr` returns is one of the class."""
    own = registry()

    class Base(DeclarativeBase):
        registry = own

    class Between(mixin, Base):  # type: ignore[misc]
        __abstract__ = is_abstract
        __tablename__ = "between"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Heir(Between):
        __tablename__ = "heirs"
        id: Mapped[int] = mapped_column(ForeignKey("between.id") if not is_abstract else Integer(), primary_key=True)

    assert f"{(Heir if is_abstract else Between).__name__}.photos" in refuse_configuration(own)


def test_dataclasses() -> None:
    """A class that SQLAlchemy makes a dataclass is held to its annotations as well."""

    class Base(MappedAsDataclass, DeclarativeBase):
        registry = registry()

    class Gallery(Base):
        __tablename__ = "galleries"
        id: Mapped[int] = mapped_column(primary_key=True, init=False)
        photos: Mapped[list[FileObject] | None] = mapped_column(StoredObject(), default=None)

    assert f"{Gallery.__name__}.photos" in refuse_configuration(Base.registry)


def test_fields_of_sqlmodel() -> None:
    """A field of SQLModel is held to its annotation as well."""
    own = registry()

    class Gallery(SQLModel, registry=own):
        metadata = MetaData()

    class Photo(Gallery, table=True):
        id: int | None = Field(default=None, primary_key=True)
        file: FileObject | None = Field(default=None, sa_type=StoredObject(multiple=True))

    assert f"{Photo.__name__}.file" in refuse_configuration(own)


def test_classic_mappings() -> None:
    """A table that is mapped by itself needs no annotation, and one that is there is believed."""
    own = registry()
    table = Table("galleries", own.metadata, Column("photos", StoredObject(multiple=True), primary_key=True))

    class Bare:
        pass

    class Wrong:
        photos: FileObject

    own.map_imperatively(Bare, table)
    own.configure()
    own.map_imperatively(Wrong, table)
    assert "Wrong.photos" in refuse_configuration(own)
