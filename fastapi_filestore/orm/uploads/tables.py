"""Put the tables of uploads beside those of a metadata, and map them.

What an upload holds is a file column like any other: sessions, the ledger, sweeps and audits know its objects by that.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
)
from sqlalchemy.orm import registry

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.ledger.ledger import ledger_of
from fastapi_filestore.storage.registry import StorageRegistry, storages

UPLOADS_KEY: Final = "fastapi_filestore.uploads"
"""Key in the `info` of a metadata: of its tables of uploads."""

OPEN: Final = "open"
"""Bytes may still come."""
COMPLETE: Final = "complete"
"""The file is whole and judged; a row may take it."""
CLAIMED: Final = "claimed"
"""A row has taken it."""


class UploadRow:
    """An upload, from its beginning until a day after a row took it.

    Attributes:
        id: What clients call it: 256 random bits.
        target: The column that it is for, as `documents.file`.
        owner: Whose it is, as text; None if whoever knows the id may use it.
        state: `open`, `complete` or `claimed`.
        filename, content_type: What the client said of it.
        size: Bytes that were announced; None while nobody knows.
        checksum: The SHA-256 that was announced, in hexadecimal digits.
        is_checked: Whether the store takes no other bytes by the URL that the client has.
        metadata_received: Upload-Metadata, as a client of tus sent it.
        concat: Upload-Concat, as a client of tus sent it; None if the upload is neither a part nor made of parts.
        parts: The ids of the uploads that it is made of, with spaces between; None if it is not.
        received: Bytes that have come by way of this application.
        backend, path: Where a client stores it by itself; None if it does not.
        url_expires: When the URL for that ends, in seconds since the epoch.
        multipart: What the store calls it while a client stores it in parts; None if it does not.
        file: The whole file, until a row takes it.
        location: The URL path of the row that took it.
        expires: When it goes if nothing happens, by the database's clock.
        holder, lease: Who is writing to it now, and until when others wait; `is_wanted` asks the holder to let go.
        fence: Counts holders: what a stale one commits hits no row.
    """

    id: str
    target: str
    owner: str | None
    state: str
    filename: str
    content_type: str
    size: int | None
    checksum: str | None
    is_checked: bool
    metadata_received: str
    concat: str | None
    parts: str | None
    received: int
    backend: str | None
    path: str | None
    url_expires: float | None
    multipart: str | None
    file: FileObject | None
    location: str | None
    expires: float
    holder: str | None
    lease: float
    is_wanted: bool
    fence: int

    def __init__(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self, name, value)


class SegmentRow:
    """A part of an upload, as one request brought it: the object of `file` begins at byte `start` of the upload."""

    upload_id: str
    start: int
    file: FileObject

    def __init__(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self, name, value)


@dataclass(frozen=True, eq=False, slots=True)
class UploadTables:
    """The tables of uploads of one metadata, and the classes that are mapped to them."""

    uploads: Table
    segments: Table
    upload: type[UploadRow]
    segment: type[SegmentRow]


def add_uploads(
    metadata: MetaData,
    *,
    name: str = "filestore_uploads",
    segments: str = "filestore_segments",
    schema: str | None = None,
    backend: str | None = None,
    registry_of_backends: StorageRegistry = storages,
) -> UploadTables:
    """Put the tables of uploads beside the tables of a metadata, so that `create_all` and Alembic know them.

    Args:
        metadata: Usually `Base.metadata`, which has a ledger already: `add_ledger` comes first.
        name: The table of uploads.
        segments: The table of their parts.
        schema: The schema of both; the metadata's own if None.
        backend: Key of the backend that holds files until a row takes them; that of the row's column if None.
        registry_of_backends: Where backends are looked up.

    Raises:
        ConfigurationError: `metadata` is none, or has such tables already.
    """
    if not isinstance(metadata, MetaData):
        raise ConfigurationError(
            f"Uploads are put beside the tables of a MetaData, not of {metadata!r}: add_uploads(Base.metadata)."
        )
    if UPLOADS_KEY in metadata.info:
        raise ConfigurationError("This metadata has tables of uploads already: call add_uploads once.")
    uploads_table = Table(
        name,
        metadata,
        Column("id", String(64), primary_key=True),
        Column("target", String(255), nullable=False),
        Column("owner", String(255)),
        Column("state", String(16), nullable=False, default=OPEN),
        Column("filename", Text, nullable=False),
        Column("content_type", String(255), nullable=False),
        Column("size", BigInteger),
        Column("checksum", String(64)),
        Column("is_checked", Boolean, nullable=False, default=False),
        Column("metadata_received", Text, nullable=False, default=""),
        Column("concat", Text),
        Column("parts", Text),
        Column("received", BigInteger, nullable=False, default=0),
        Column("backend", String(255)),
        Column("path", String(1024)),
        Column("url_expires", Float(53)),
        Column("multipart", Text),
        Column("file", StoredObject(backend, registry=registry_of_backends)),
        Column("location", Text),
        Column("expires", Float(53), nullable=False, index=True),
        Column("holder", String(64)),
        Column("lease", Float(53), nullable=False, default=0.0),
        Column("is_wanted", Boolean, nullable=False, default=False),
        Column("fence", Integer, nullable=False, default=0),
        Index(None, "owner", "state"),
        schema=schema,
    )
    segments_table = Table(
        segments,
        metadata,
        Column("upload_id", ForeignKey(uploads_table.c.id), primary_key=True),
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        Column("file", StoredObject(backend, registry=registry_of_backends), nullable=False),
        schema=schema,
    )
    mappings = registry(metadata=metadata)
    upload = type("FilestoreUpload", (UploadRow,), {})
    segment = type("FilestoreSegment", (SegmentRow,), {})
    mappings.map_imperatively(upload, uploads_table)
    mappings.map_imperatively(segment, segments_table)
    tables = UploadTables(uploads_table, segments_table, upload, segment)
    metadata.info[UPLOADS_KEY] = tables
    return tables


def uploads_of(metadata: MetaData) -> UploadTables | None:
    """Return the tables of uploads of a metadata, if it has some."""
    tables: UploadTables | None = metadata.info.get(UPLOADS_KEY)
    return tables


def tables_of_uploads(model: type) -> UploadTables:
    """Return the tables of uploads that rows of a mapped class take.

    Raises:
        ConfigurationError: Its metadata has none, or no ledger, without which nobody would clear away what is left.
    """
    metadata: MetaData = inspect(model).local_table.metadata
    tables = uploads_of(metadata)
    if tables is None or ledger_of(metadata) is None:
        raise ConfigurationError(
            f"uploads= of {model.__name__} needs tables: call add_ledger(Base.metadata) and add_uploads(Base.metadata) "
            "where its models are, and create them as you do the others."
        )
    return tables
