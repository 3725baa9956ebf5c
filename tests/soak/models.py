"""The table that the soak's workers write, with a ledger whose intents fall due soon enough to matter."""

from uuid import UUID, uuid4

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, StoredObject, add_ledger

BACKEND = "soak"
MIN_AGE = 5.0
"""Seconds before the intent of an unfinished upload falls due; in earnest it is an hour."""


class Base(DeclarativeBase):
    """The soak's tables."""


LEDGER = add_ledger(Base.metadata, min_age=MIN_AGE)


class Document(Base):
    """A row with one file and several pages."""

    __tablename__ = "documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend=BACKEND))
    pages: Mapped[list[FileObject]] = mapped_column(
        StoredObject(backend=BACKEND, multiple=True, prefix="pages/"), default=list
    )
