"""sqlalchemy-file as its documentation shows it: a FileField on libcloud's local storage, a synchronous session."""

from typing import Annotated, Any

from fastapi import Form, UploadFile
from libcloud.storage.drivers.local import LocalStorageDriver
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy_file import File, FileField
from sqlalchemy_file.storage import StorageManager

from benchmarks.contenders.application import PLACE, application, guards

(PLACE.folder / "documents").mkdir(parents=True)
StorageManager.add_storage("default", LocalStorageDriver(str(PLACE.folder)).get_container("documents"))
engine = create_engine(PLACE.url(asynchronous=False))


class Base(DeclarativeBase):
    """The table's metadata."""


class Document(Base):
    """A row with a file."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[Any] = mapped_column(FileField)


Base.metadata.create_all(engine)
app = application()


@app.post("/documents/", status_code=201, dependencies=guards())
def create(title: Annotated[str, Form()], file: UploadFile) -> dict[str, Any]:
    """Store a file and its row."""
    with Session(engine) as session:
        document = Document(title=title, file=File(file.file, filename=file.filename, content_type=file.content_type))
        session.add(document)
        session.commit()
        return {"id": document.id, "title": title, "filename": document.file.filename}
