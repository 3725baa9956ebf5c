"""The tables that the row suite writes."""

from sqlalchemy import CHAR, ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from fastapi_filestore import FileObject, StoredObject, add_ledger


class Base(DeclarativeBase):
    """The suite's tables."""


LEDGER = add_ledger(Base.metadata)


class Document(Base):
    """A row with one file and several pages."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200), unique=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="rows", multiple=True))
    notes: Mapped[list["Note"]] = relationship(cascade="all, delete-orphan")


class Note(Base):
    """A child row with a file of its own."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id"))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


class Person(Base):
    """A row that other classes extend by a table of their own."""

    __tablename__ = "people"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012 - SQLAlchemy reads it

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    photo: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))
    badge: Mapped["Badge | None"] = relationship(cascade="all, delete-orphan", back_populates="person")


class Author(Person):
    """A person with a row in a second table."""

    __tablename__ = "authors"
    __mapper_args__ = {"polymorphic_identity": "author"}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    essay: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


class Badge(Base):
    """A row whose key is another row's."""

    __tablename__ = "badges"

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    scan: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))
    person: Mapped[Person] = relationship(back_populates="badge")


class Asset(Base):
    """A row that other classes extend in the same table; it has no file itself."""

    __tablename__ = "assets"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "asset"}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]


class Picture(Asset):
    """An asset with a file."""

    __mapper_args__ = {"polymorphic_identity": "picture"}  # noqa: RUF012 - as above

    image: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


class Label(Base):
    """A row whose key is text, which PostgreSQL pads."""

    __tablename__ = "labels"

    code: Mapped[str] = mapped_column(CHAR(8), primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


FILED = (Document, Note, Person, Author, Badge, Picture, Label)
"""The classes with files."""
