"""Tables of the maintenance suite: keys of several kinds, a list, and a ledger that is soon due."""

from uuid import UUID, uuid4

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, StoredObject, add_ledger

QUICK = 1.0
"""Seconds until an upload intent of the quick ledger falls due."""


class Base(DeclarativeBase):
    """Most of the suite's tables."""


LEDGER = add_ledger(Base.metadata, name="intents")


class Report(Base):
    """A row with a file and a list of files."""

    __tablename__ = "reports"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="shelf"))
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="shelf", multiple=True))


class Scan(Base):
    """A row with a primary key of two columns."""

    __tablename__ = "scans"

    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="shelf"))


class QuickBase(DeclarativeBase):
    """Tables whose ledger is soon due."""


QUICK_LEDGER = add_ledger(QuickBase.metadata, name="quick_intents", min_age=QUICK)


class Clip(QuickBase):
    """A row whose upload takes longer than its ledger's age."""

    __tablename__ = "clips"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="shelf"))


class PlainBase(DeclarativeBase):
    """Tables without a ledger."""


class Photo(PlainBase):
    """A row that nothing but an audit looks after."""

    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject())
