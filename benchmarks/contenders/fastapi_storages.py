"""fastapi-storages as its documentation shows it: a FileType on the file system or S3, a synchronous session."""

from typing import Annotated, Any

from fastapi import Form, UploadFile
from fastapi_storages import FileSystemStorage, S3Storage
from fastapi_storages.integrations.sqlalchemy import FileType
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.contenders.application import PLACE, application, guards
from benchmarks.place import Bucket

engine = create_engine(PLACE.url(asynchronous=False))


def _in_bucket(bucket: Bucket) -> Any:
    class Storage(S3Storage):
        AWS_ACCESS_KEY_ID = bucket.access_key
        AWS_SECRET_ACCESS_KEY = bucket.secret_key
        AWS_S3_BUCKET_NAME = bucket.name
        AWS_S3_ENDPOINT_URL = bucket.endpoint.removeprefix("http://")
        AWS_S3_USE_SSL = False
        AWS_DEFAULT_ACL = "private"

    return Storage()


storage = FileSystemStorage(path=str(PLACE.folder)) if PLACE.bucket is None else _in_bucket(PLACE.bucket)


class Base(DeclarativeBase):
    """The table's metadata."""


class Document(Base):
    """A row with a file."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[Any] = mapped_column(FileType(storage=storage))


Base.metadata.create_all(engine)
app = application()


@app.post("/documents/", status_code=201, dependencies=guards())
def create(title: Annotated[str, Form()], file: UploadFile) -> dict[str, Any]:
    """Store a file and its row."""
    with Session(engine) as session:
        document = Document(title=title, file=file)
        session.add(document)
        session.commit()
        return {"id": document.id, "title": title, "filename": document.file.name}
