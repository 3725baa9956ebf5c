"""The reference's model code: a base of UUIDs and audit columns, quoted annotations, one file."""

from datetime import UTC, datetime
from typing import Optional
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy import DateTime
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, FileService, StoredObject


def _now() -> datetime:
    return datetime.now(UTC)


class UUIDAuditBase(DeclarativeBase):
    """A base like the reference's: the primary key is a UUID, and rows know when they were written."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now, onupdate=_now)


class Document(UUIDAuditBase):
    """The reference's document."""

    __tablename__ = "documents"

    title: "Mapped[str]"
    file: "Mapped[Optional[FileObject]]" = mapped_column(StoredObject(backend="s3"))  # noqa: UP045 - as in the reference


class DocumentRead(BaseModel):
    """What a client sees of a document."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    file: FileObject | None


class DocumentService(FileService[Document]):
    """The reference's service."""
