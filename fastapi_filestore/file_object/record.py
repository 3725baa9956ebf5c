"""A stored file as JSON in a row: ours, and the one that advanced-alchemy wrote."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypedDict, cast

from fastapi_filestore.file_object.description import FileState
from fastapi_filestore.file_object.value import FileObject
from fastapi_filestore.intake.names import FALLBACK_NAME, FALLBACK_TYPE, is_media_type
from fastapi_filestore.storage.registry import StorageRegistry, storages


class FileRecord(TypedDict, total=False):
    """The JSON of one file; `path` is missing in rows of advanced-alchemy, whose filename is the path."""

    backend: str | None
    path: str
    filename: str
    content_type: str
    size: int | None
    checksum: str | None
    etag: str | None
    last_modified: float | None
    version_id: str | None
    metadata: dict[str, str]


def to_record(file: FileObject) -> FileRecord:
    """Return the JSON of a stored file."""
    return FileRecord(
        backend=file.backend,
        path=file.path or file.filename,
        filename=file.filename,
        content_type=file.content_type,
        size=file.size,
        checksum=file.checksum,
        etag=file.etag,
        last_modified=None if file.last_modified is None else file.last_modified.timestamp(),
        version_id=file.version_id,
        metadata=dict(file.metadata),
    )


def from_record(data: Mapping[str, object], *, registry: StorageRegistry = storages) -> FileObject:
    """Return the stored file that a row's JSON describes; keys it does not know are ignored."""
    record = cast("FileRecord", data)
    name = record.get("filename") or record.get("path") or FALLBACK_NAME
    declared = record.get("content_type") or FALLBACK_TYPE
    kept = declared if is_media_type(declared) else FALLBACK_TYPE
    path = record.get("path") or name
    file = FileObject(record.get("backend"), name, content_type=kept, path=path, registry=registry)
    file.metadata = {key: _text(value) for key, value in (record.get("metadata") or {}).items()}
    file.size, file.checksum = record.get("size"), record.get("checksum")
    file.etag, file.version_id = record.get("etag"), record.get("version_id")
    file.last_modified = _moment(record.get("last_modified"))
    file.state = FileState.STORED
    return file


def _text(value: object) -> str:
    # advanced-alchemy keeps any JSON there.
    return value if isinstance(value, str) else json.dumps(value)


def _moment(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
