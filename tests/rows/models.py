"""The tables that the row suite writes."""

from sqlalchemy import ForeignKey, String
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
