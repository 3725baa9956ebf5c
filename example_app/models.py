"""Map what the application keeps: documents, each with a title and a file."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import DateTime, Dialect, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, StoredObject, add_ledger, add_uploads


class Base(DeclarativeBase):
    """The application's tables."""


# Beside the documents, what a crash might leave of their files, and what has come of files that are on their way.
add_ledger(Base.metadata)
add_uploads(Base.metadata)


class Moment(TypeDecorator[datetime]):
    """A time with its zone, which SQLite forgets: there it is UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """The type of the value in a row, for schemas and cursors."""
        return datetime

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time with its zone."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def now() -> datetime:
    """Return the present time, fine enough to tell which of two documents came first."""
    return datetime.now(UTC)


class Document(Base):
    """A document: a title and a file in the backend `documents`, or in the default one."""

    __tablename__ = "documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str] = mapped_column(String(200))
    file: Mapped[FileObject] = mapped_column(StoredObject())
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
