"""Take a stored file to another process by a record: the JSON that its row has, checked before anybody reads it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self

from fastapi_filestore.errors import InvalidRecordError, PendingContentError
from fastapi_filestore.file_object.description import FileDescription
from fastapi_filestore.file_object.metadata import NO_TEXT
from fastapi_filestore.file_object.record import LARGEST, LONGEST_BACKEND, FileRecord, file_of, path_of, to_record
from fastapi_filestore.intake.names import is_media_type
from fastapi_filestore.storage.paths import MAX_PATH_BYTES, can_be_held
from fastapi_filestore.storage.registry import StorageRegistry, storages

LONGEST_TEXT: Final = MAX_PATH_BYTES
"""Characters of a path, a filename, a checksum, an entity tag or a version in a record."""
MOST_METADATA: Final = 64 * 1024
"""Characters of all metadata in a record: queues carry messages of a few hundred kilobytes."""

FIRST_MOMENT: Final = datetime(1, 1, 2, tzinfo=UTC).timestamp()
LAST_MOMENT: Final = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


class RecordedFile(FileDescription):
    """The part of `FileObject` that travels as a record."""

    __slots__ = ()

    def to_record(self) -> FileRecord:
        """Return it as JSON, of the shape that its row has, for a queue between processes that trust each other.

        A record names an object and holds no bytes. Never show one to a client: who can give a record to a process can
        read any object of its backends.

        Raises:
            PendingContentError: It is not stored, so there is nothing that another process could read.
            InvalidRecordError: Its metadata is too large.
        """
        self.refuse_unreadable()
        if not self.is_stored:
            raise PendingContentError(
                f"{self.filename!r} can't become a record: {self.state.value}. First `await file.save_async()`, or "
                "`file.confirm_async()` if somebody else stored it."
            )
        record = to_record(self)
        _check(record)
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any], *, registry: StorageRegistry = storages) -> Self:
        """Return the stored file of a record that `to_record` returned; what it does not know in there is ignored.

        It can be read, opened, signed and copied. Nothing is asked for: the object may be gone since, which is
        `ObjectNotFoundError` at the first use. It belongs to one row, as every stored file does.

        Raises:
            InvalidRecordError: It is no record; `field` says what of it is wrong.
        """
        _check(record)
        file = file_of(record, cls, registry=registry)
        file.custody.is_held = False
        return file


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and NO_TEXT.search(value) is None


def _is_backend(value: object) -> bool:
    return _is_text(value) and 0 < len(str(value)) <= LONGEST_BACKEND


def _is_metadata(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    texts = [*value, *value.values()]
    return all(isinstance(text, str) and not NO_TEXT.search(text) for text in texts) and (
        sum(map(len, texts)) <= MOST_METADATA
    )


def _is_moment(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and FIRST_MOMENT <= value <= LAST_MOMENT


_TEXT: Final = f"text of at most {LONGEST_TEXT} characters"
_FIELDS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "backend": (_is_backend, f"the key of a backend, of at most {LONGEST_BACKEND} characters"),
    "path": (_is_text, _TEXT),
    "filename": (_is_text, _TEXT),
    "content_type": (lambda value: isinstance(value, str) and is_media_type(value), "a media type"),
    "size": (lambda value: type(value) is int and 0 <= value <= LARGEST, "a number of bytes"),
    "checksum": (_is_text, _TEXT),
    "etag": (_is_text, _TEXT),
    "last_modified": (_is_moment, "a number of seconds since 1970, in years of four digits"),
    "version_id": (_is_text, _TEXT),
    "metadata": (_is_metadata, f"an object of texts, of at most {MOST_METADATA} characters in all"),
}
"""What a record has, each with what it must be and how that is called; all but a backend and a path may be null."""


def _check(record: object) -> None:
    """Raise `InvalidRecordError` unless it is a record of a stored file."""
    if not isinstance(record, Mapping):
        remedy = ": parse its JSON first" if isinstance(record, str | bytes) else ""
        raise InvalidRecordError(None, f"it is a {type(record).__name__} and no dict{remedy}")
    for field, (is_right, expected) in _FIELDS.items():
        value = record.get(field)
        if value is None and field == "backend":
            raise InvalidRecordError(field, f"its backend is missing, which is {expected}")
        if value is not None and not is_right(value):
            raise InvalidRecordError(field, f"its {field} is not {expected}")
    named_by = "path" if record.get("path") is not None else "filename"  # as in rows of advanced-alchemy
    if not record.get(named_by):
        raise InvalidRecordError("path", "its path is missing")
    if not can_be_held(path_of(record)):
        raise InvalidRecordError(named_by, f"its {named_by} is none that a store could hold an object at")
