"""The tables that the web suite serves: a key of every type, and columns of every kind."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, validates

from fastapi_filestore import FileObject, StoredObject, add_ledger, add_uploads


class Base(DeclarativeBase):
    """The suite's tables."""


LEDGER = add_ledger(Base.metadata)
UPLOADS = add_uploads(Base.metadata)


class Kind(Enum):
    """What a document is."""

    LETTER = "letter"
    INVOICE = "invoice"


class Document(Base):
    """A row with an integer key and columns of many types."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[Kind] = mapped_column(default=Kind.LETTER)
    pages: Mapped[int | None]
    signed: Mapped[bool] = mapped_column(default=False)
    day: Mapped[date | None]
    token: Mapped[str] = mapped_column(String(32), default=lambda: uuid4().hex)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), onupdate=func.now())
    secret: Mapped[str | None] = mapped_column(String(40), deferred=True)
    _internal: Mapped[str | None] = mapped_column("internal", String(40))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


class Ticket(Base):
    """A row with a UUID for a key, and an expression beside its columns."""

    __tablename__ = "tickets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title = mapped_column(String(100), nullable=False)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))
    shouted: Mapped[str] = column_property(func.upper(title))


class Article(Base):
    """A row whose key is text that a client chooses."""

    __tablename__ = "articles"

    slug: Mapped[str] = mapped_column(String(60), primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))


class Album(Base):
    """A row with two columns of one file and one of several."""

    __tablename__ = "albums"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))
    booklet: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))
    photos: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="web", multiple=True))


class Pair(Base):
    """A row with a key of two columns, which no path has room for."""

    __tablename__ = "pairs"

    left: Mapped[int] = mapped_column(primary_key=True)
    right: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))


class Plain(Base):
    """A row without a file."""

    __tablename__ = "plain"

    id: Mapped[int] = mapped_column(primary_key=True)


class Receipt(Base):
    """A row that must name a document at COMMIT, not before: PostgreSQL checks it last."""

    __tablename__ = "receipts"

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", deferrable=True, initially="DEFERRED"))
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))


class Member(Base):
    """A user in a team."""

    __tablename__ = "members"

    user: Mapped[str] = mapped_column(String(20), primary_key=True)
    team: Mapped[str] = mapped_column(String(20), primary_key=True)


class Paper(Base):
    """A row that belongs to a user, and perhaps to a team."""

    __tablename__ = "papers"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(20))
    team: Mapped[str | None] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(40))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


class Measurement(Base):
    """A row of numbers, which a database rounds, refuses or takes for infinite."""

    __tablename__ = "measurements"

    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[Decimal | None] = mapped_column(Numeric(6, 2))
    digits: Mapped[Decimal | None] = mapped_column(Numeric(4))
    scaled: Mapped[Decimal | None] = mapped_column(Numeric(scale=2))
    number: Mapped[Decimal | None] = mapped_column(Numeric)
    binary: Mapped[Decimal | None] = mapped_column(Float(53, asdecimal=True))
    plain: Mapped[float | None] = mapped_column(Numeric(6, 2, asdecimal=False))
    lasted: Mapped[timedelta | None]
    count: Mapped[int | None]
    few: Mapped[int | None] = mapped_column(SmallInteger)
    many: Mapped[int | None] = mapped_column(BigInteger)
    label: Mapped[str | None]
    notes: Mapped[Any] = mapped_column(JSON().with_variant(JSONB(), "postgresql"), nullable=True)
    unit: Mapped[str | None]
    grade: Mapped[int | None]
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))

    @validates("unit")
    def check_unit(self, name: str, value: str | None) -> str | None:
        """Take a unit that there is."""
        if value not in {None, "m", "kg"}:
            raise ValueError("A unit is m or kg.")
        return value

    @validates("grade")
    def check_grade(self, name: str, value: int | None) -> int | None:
        """Take a grade from one to six, as older code does it."""
        assert value is None or 1 <= value <= 6, "A grade is from 1 to 6."
        return value


class Specimen(Base):
    """A row of values that JSON or forms have no word of their own for."""

    __tablename__ = "specimens"

    id: Mapped[int] = mapped_column(primary_key=True)
    blob: Mapped[bytes | None]
    stamp: Mapped[bytes | None] = mapped_column(LargeBinary(4))
    ratio: Mapped[float] = mapped_column(default=0.5)
    weight: Mapped[Decimal] = mapped_column(Numeric, default=Decimal(1))
    mark: Mapped[bytes] = mapped_column(default=b"")
    note: Mapped[str | None]
    meta: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


class Book(Base):
    """A row with a file that it can't do without, one that it can, and a short list."""

    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    cover: Mapped[FileObject] = mapped_column(StoredObject(backend="web", content_types=["text/plain"]))
    back: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web", max_size=5))
    pages: Mapped[list[FileObject]] = mapped_column(StoredObject(backend="web", multiple=True, max_files=4))


class Photo(Base):
    """A row that takes small pictures only."""

    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web", max_size=700, content_types=["image/*"]))


FILED: tuple[type[Any], ...] = (
    Document,
    Ticket,
    Article,
    Album,
    Pair,
    Receipt,
    Paper,
    Measurement,
    Specimen,
    Book,
    Photo,
)
"""The models with files."""
HOLDING = (*FILED, UPLOADS.upload, UPLOADS.segment)
"""The models whose rows hold objects: uploads do until a row takes them."""
