"""Write a stored file as JSON in a row, and read it: ours, and the one that advanced-alchemy wrote."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict, TypeVar

from fastapi_filestore.errors import UnreadableFileError
from fastapi_filestore.file_object.description import FileDescription
from fastapi_filestore.file_object.metadata import NO_TEXT
from fastapi_filestore.file_object.state import FileState, Unreadable
from fastapi_filestore.intake.names import FALLBACK_NAME, FALLBACK_TYPE, is_media_type
from fastapi_filestore.storage.paths import HeldPath
from fastapi_filestore.storage.registry import StorageRegistry, storages

LONGEST_BACKEND = 255
"""Characters in the key of a backend: as many as a ledger can hold."""

LARGEST = 2**63 - 1
"""Bytes in the largest file that a database could say the size of."""
HALF_A_PAIR = re.compile("[\ud800-\udfff]")

FileT = TypeVar("FileT", bound=FileDescription)

JSONFile = Mapping[str, Any]
"""One file as a row holds it."""


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


@dataclass(frozen=True, slots=True)
class NotJSON:
    """A value of a JSON column that is no JSON, as SQLite lets anybody write."""

    value: object


def to_record(file: FileDescription) -> FileRecord:
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


def files_in(value: object, *, multiple: bool) -> list[JSONFile]:
    """Return the files in the JSON of a column.

    A list column may hold a lone file and a single column a list of one, from when it was the other kind of column.

    Raises:
        UnreadableFileError: It is anything else, or says of one of its files no place where the bytes could be.
    """
    if value is None:
        return []
    files: list[Any] = value if isinstance(value, list) else [value]
    if not multiple and len(files) != 1:
        raise UnreadableFileError(f"it is a list of {len(files)} where one file belongs")
    for file in files:
        if isinstance(file, NotJSON):
            raise UnreadableFileError("it is not JSON")
        if not isinstance(file, Mapping):
            raise UnreadableFileError(f"it is {_kind(file)} where an object with a backend and a path belongs")
        named_by = "path" if file.get("path") not in (None, "") else "filename"
        for member in ("backend", named_by):
            if file.get(member) is not None and text_in(file, member) is None:
                raise UnreadableFileError(f"its {member} is {_kind(file[member])} that names nothing")
        if len(file.get("backend") or "") > LONGEST_BACKEND:
            raise UnreadableFileError(f"its backend has more than {LONGEST_BACKEND} characters")
        if not file.get(named_by):
            raise UnreadableFileError("it has neither a path nor a filename")
    return files


def _kind(value: object) -> str:
    kinds: dict[type, str] = {str: "text", list: "a list", dict: "an object", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def path_of(file: JSONFile) -> str:
    """Return the path of a file in JSON: the one it names or, in rows of advanced-alchemy, its filename.

    Every store that advanced-alchemy writes to drops a slash at the beginning and one at the end; the row keeps them.
    """
    path: str = file.get("path") or file["filename"]
    kept = path.removeprefix("/").removesuffix("/") or path
    return HeldPath(kept) if "\\" in kept else kept


def spellings(path: str) -> tuple[str, ...]:
    """Return how rows may spell the path of an object: the opposite of `path_of`."""
    return path, f"/{path}", f"{path}/", f"/{path}/"


def odd_spellings(path: str) -> tuple[str, ...]:
    """Return how careless programs spell the path of an object most often: with `./`, or one slash too many."""
    doubled = (f"{path[:at]}/{path[at:]}" for at, character in enumerate(path) if character == "/")
    return f"./{path}", f"//{path}", *doubled


def file_of(data: JSONFile, file_class: type[FileT], *, registry: StorageRegistry = storages) -> FileT:
    """Return the stored file that a row's JSON describes; keys it does not know, and odd values, are ignored."""
    path = path_of(data)
    filename, content_type = data.get("filename"), data.get("content_type")
    is_typed = isinstance(content_type, str) and is_media_type(content_type)
    metadata = data.get("metadata") or None
    file = file_class(
        data.get("backend") or None,
        filename if isinstance(filename, str) and filename else path,
        content_type=content_type if is_typed else FALLBACK_TYPE,
        metadata={_text(key): _text(metadata[key]) for key in metadata} if isinstance(metadata, Mapping) else None,
        path=path,
        registry=registry,
    )
    file.size, file.checksum, file.etag = size_in(data), text_in(data, "checksum"), text_in(data, "etag")
    file.version_id, file.state = text_in(data, "version_id"), FileState.STORED
    if isinstance(timestamp := data.get("last_modified"), int | float):
        with suppress(ValueError, OverflowError, OSError):
            file.last_modified = datetime.fromtimestamp(timestamp, UTC)
    return file


def size_in(file: JSONFile) -> int | None:
    """Return the size of a file in JSON; None if it says none."""
    size = file.get("size")
    return size if type(size) is int and 0 <= size <= LARGEST else None


def text_in(file: JSONFile, member: str) -> str | None:
    """Return a text of a file in JSON; None if it says none."""
    value = file.get(member)
    # Half a surrogate pair is no character: no store has it in a path, and no database lets it be asked for.
    is_text = isinstance(value, str) and (value.isascii() or HALF_A_PAIR.search(value) is None)
    return value if is_text else None


def unreadable_file(
    value: object, problem: str, file_class: type[FileT], *, registry: StorageRegistry = storages
) -> FileT:
    """Return what stands in a row for a value that can't be read as a file, and keeps it."""
    file = file_class(None, FALLBACK_NAME, registry=registry)
    file.state, file.unreadable = FileState.UNREADABLE, Unreadable(value, problem)
    return file


def _text(value: object) -> str:
    # advanced-alchemy keeps any JSON there.
    text = value if isinstance(value, str) else json.dumps(value)
    return NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)
