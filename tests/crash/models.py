"""The tables that the scripted units of work write, and the rows that each of them finds."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from fastapi_filestore import FileObject, StoredObject, add_ledger, add_uploads

BACKEND = "crash"


class Base(DeclarativeBase):
    """The harness's tables."""


LEDGER = add_ledger(Base.metadata)
UPLOADS = add_uploads(Base.metadata, backend=BACKEND)


class Document(Base):
    """A row with one file and several pages."""

    __tablename__ = "records"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200), unique=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend=BACKEND))
    pages: Mapped[list[FileObject] | None] = mapped_column(
        StoredObject(backend=BACKEND, multiple=True, prefix="pages/")
    )
    notes: Mapped[list["Note"]] = relationship(cascade="all, delete-orphan")


class Note(Base):
    """A child row with a file of its own."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("records.id"))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend=BACKEND))


def pending(text: str) -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename=f"{text}.txt", content=text.encode())


def add_first_rows(session: Session) -> None:
    """Write what every script starts from."""
    pages = [pending("page one"), pending("page two"), pending("page three")]
    session.add(Document(title="one", file=pending("file one"), pages=pages))
    session.add(Document(title="two", file=pending("file two")))
    session.add(Document(title="empty"))
    notes = [Note(file=pending("note one")), Note(file=pending("note two"))]
    session.add(Document(title="parent", file=pending("file of a parent"), notes=notes))
