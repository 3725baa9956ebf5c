"""A file that is annotated and given no column type: the error says what to write, or the base says it for all."""

from collections.abc import Callable

import pytest
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlmodel import Field, SQLModel

from fastapi_filestore import FileObject, StoredObject


class OwnFile(FileObject):
    """A class of files of the application's own."""


def map_bare() -> None:
    """Map a class whose file has no column type."""

    class Base(DeclarativeBase):
        """A base that says nothing of files."""

    class Bare(Base):
        __tablename__ = "bare"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject | None]


def map_bare_of_sqlmodel() -> None:
    """Do so with SQLModel."""

    class Bare(SQLModel, table=True):
        metadata = MetaData()
        id: int | None = Field(default=None, primary_key=True)
        file: OwnFile | None = None


@pytest.mark.parametrize(
    ("define", "remedy"),
    [(map_bare, r"mapped_column\(StoredObject\(\)\)"), (map_bare_of_sqlmodel, r"Field\(sa_type=StoredObject\(\)\)")],
)
def test_the_error_says_what_to_write(define: Callable[[], None], remedy: str) -> None:
    """The class is named as ever, and what its column lacks."""
    with pytest.raises(Exception, match=rf"'[\w.]*(FileObject|OwnFile)'>, which needs .*{remedy}"):
        define()


def test_a_base_says_it_for_all() -> None:
    """`type_annotation_map` gives every annotated file its column."""

    class Base(DeclarativeBase):
        type_annotation_map = {FileObject: StoredObject(), list[FileObject]: StoredObject(multiple=True)}  # noqa: RUF012

    class Document(Base):
        __tablename__ = "mapped"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject]
        letter: Mapped[FileObject | None]
        pages: Mapped[list[FileObject]]

    columns = Document.__table__.columns
    assert [isinstance(columns[name].type, StoredObject) for name in ("file", "letter", "pages")] == [True] * 3
    assert [columns[name].nullable for name in ("file", "letter", "pages")] == [False, True, False]
