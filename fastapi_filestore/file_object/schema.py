"""Show a file in a response; it can't stand in a request."""

from collections.abc import Mapping
from datetime import datetime
from operator import not_
from typing import Protocol

from pydantic import BaseModel, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from fastapi_filestore.file_object.custody import Custody


class Presentable(Protocol):
    """The part of a file that a response shows: neither its backend nor its path."""

    filename: str
    content_type: str
    size: int | None
    checksum: str | None
    last_modified: datetime | None

    @property
    def unreadable(self) -> object | None:
        """Value that its row holds instead of a file, if it does."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Any text that was given with the file."""
        ...

    custody: Custody

    @property
    def id(self) -> str | None:
        """What tells it from the other files of its list."""
        ...

    @property
    def url(self) -> str | None:
        """URL where a client may fetch it."""
        ...


class FileRead(BaseModel, json_schema_extra={"readOnly": True}):
    """A stored file."""

    filename: str
    content_type: str
    size: int | None
    checksum: str | None
    last_modified: datetime | None
    metadata: dict[str, str]
    url: str | None
    id: str | None = Field(default=None, exclude_if=not_, description="Its name among the files of a list.")


def core_schema_of(file_class: type) -> CoreSchema:
    """Return the schema: an instance in Python, never from JSON, and a `FileRead` when written to JSON."""
    return core_schema.is_instance_schema(
        file_class,
        ref=f"{FileRead.__module__}.{FileRead.__qualname__}:{id(file_class)}",  # the name of its component
        serialization=core_schema.plain_serializer_function_ser_schema(_present, when_used="json"),
    )


def json_schema_of(handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """Describe the response; read-only, since a request that could name a stored object could read any of them."""
    return handler(FileRead.__pydantic_core_schema__)


def _present(file: Presentable) -> object:
    if file.unreadable is not None:
        return None
    shown = FileRead(
        filename=file.filename,
        content_type=file.content_type,
        size=file.size,
        checksum=file.checksum,
        last_modified=file.last_modified,
        metadata=dict(file.metadata),
        url=file.url,
        id=file.id if file.custody.is_listed else None,
    )
    return shown.model_dump(mode="json")  # whole, whatever the response leaves out of itself
