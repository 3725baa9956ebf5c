"""What the application keeps: documents, each with a title and a file."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import DateTime, String, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, StoredObject


class Base(DeclarativeBase):
    """The application's tables."""


class Document(Base):
    """A document: a title and a file in the backend `documents`, or in the default one."""

    __tablename__ = "documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str] = mapped_column(String(200))
    file: Mapped[FileObject] = mapped_column(StoredObject())
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
