"""The application whose uploads the cases try: one column, and a route that reads what has come."""

import os

from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import UPLOAD_CORS, FileObject, StoredObject, add_ledger, add_uploads
from tests.web.opening import application_of


class Base(DeclarativeBase):
    """Of one table, beside those of the library."""


class Document(Base):
    """A row that takes an upload."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(max_size=int(os.environ["LARGEST"])))


add_ledger(Base.metadata)
add_uploads(Base.metadata)
app, files = application_of(Base.metadata)
app.add_middleware(CORSMiddleware, allow_origins=[os.environ["ORIGIN"]], **UPLOAD_CORS)
app.include_router(files.router(Document, uploads=True), prefix="/documents")
