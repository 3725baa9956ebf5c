"""Describe a file: its name and type, where its bytes are, and how it compares, copies, travels and is shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from fastapi_filestore.errors import NotAFileError, PendingContentError, UnsupportedContentError
from fastapi_filestore.file_object.custody import Custody
from fastapi_filestore.file_object.identity import id_of
from fastapi_filestore.file_object.metadata import Metadata, check_metadata
from fastapi_filestore.file_object.schema import core_schema_of, json_schema_of
from fastapi_filestore.file_object.state import FileState, Location, Unreadable
from fastapi_filestore.intake.folders import FOLDER
from fastapi_filestore.intake.names import FALLBACK_NAME, guess_content_type, is_media_type, safe_filename
from fastapi_filestore.intake.rules import NO_RULES, FileRules
from fastapi_filestore.intake.types.media_types import is_unspecific
from fastapi_filestore.intake.upload import Upload, chosen_content, is_upload
from fastapi_filestore.storage.backend import StorageBackend
from fastapi_filestore.storage.content import Content
from fastapi_filestore.storage.paths import is_once_path, is_upload_path
from fastapi_filestore.storage.registry import StorageRegistry, storages


class FileType(type):
    """The class of `FileObject`: it says in errors of SQLAlchemy and SQLModel what a bare annotation lacks."""

    def __format__(cls, spec: str) -> str:
        """Return what stands in a message for the class, which these put there as what they know no column for."""
        return f"{cls!r}, which needs mapped_column(StoredObject()), or Field(sa_type=StoredObject()) with SQLModel,"


class FileDescription(metaclass=FileType):
    """The part of `FileObject` that moves no bytes."""

    __slots__ = (
        "_backend",
        "_chosen_path",
        "_content",
        "_content_type",
        "_filename",
        "_metadata",
        "_path",
        "_registry",
        "_staged",
        "_upload",
        "_url",
        "checksum",
        "custody",
        "etag",
        "last_modified",
        "prefix",
        "size",
        "state",
        "unreadable",
        "upload_limit",
        "version_id",
    )

    def __init__(
        self,
        backend: str | StorageBackend | None = None,
        filename: str | None = "file",
        *,
        content: Content | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        path: str | None = None,
        registry: StorageRegistry = storages,
    ) -> None:
        """Describe a file whose content is to be stored.

        Args:
            backend: Key of a registered backend; None leaves the choice to the column, or to the default.
            filename: What to call it; folders and hidden characters are dropped. None, as some uploads have, is "file".
            content: Bytes, a `pathlib.Path`, an open binary file, an UploadFile, or an iterator of bytes.
            content_type: Media type; guessed from the filename's ending if None.
            metadata: Any text.
            path: A path of one's own for the object; generated if None.
            registry: Where `backend` is looked up.

        Raises:
            UnsupportedContentError: The content yields no bytes, the content type is not a media type, or what is to
                be text is none.
            NoFileChosenError: The content is the upload of an input that was left empty.
        """
        self._registry = registry
        self._backend = backend if backend is None or isinstance(backend, str) else _register(backend, registry)
        self._filename = safe_filename("" if filename is None else _check_text(filename, "A filename"))
        self._content_type = guess_content_type(self._filename)
        if content_type is not None:
            self._content_type = _check_text(content_type, "A media type", is_type=True)
        self._metadata = Metadata(None if metadata is None else check_metadata(metadata))
        self._path = self._chosen_path = None if path is None else _check_text(path, "An object key (path=)")
        self.state = FileState.RESERVED if path is not None and content is None else FileState.PENDING
        self.custody = Custody()
        self.unreadable: Unreadable | None = None
        self._content = None if content is None else chosen_content(content)
        self._url: str | None = None
        self._staged: str | None = None
        self._upload: str | None = None
        self.upload_limit: int | None = None
        self.prefix = ""
        # What the store says of the object.
        self.size: int | None = None
        self.checksum: str | None = None
        self.etag: str | None = None
        self.last_modified: datetime | None = None
        self.version_id: str | None = None

    @classmethod
    def of(cls, upload: object) -> Self:
        """Return the file that an upload is to become; a file itself.

        `row.file = upload_file` works without it, but a type checker refuses that.

        Raises:
            NotAFileError: It is neither.
        """
        if isinstance(upload, cls):
            return upload
        if isinstance(upload, Upload):
            metadata = {FOLDER: upload.folder} if upload.folder else None
            return cls(filename=upload.filename, content_type=upload.known_type, content=upload, metadata=metadata)
        if is_upload(upload):
            declared = None if is_unspecific(upload.content_type) else upload.content_type
            return cls(filename=upload.filename or FALLBACK_NAME, content_type=declared, content=upload)
        raise NotAFileError(
            f"A file column can't hold a {type(upload).__name__}: give it a FileObject (content= takes bytes, a path, "
            "a file or an iterator), an Upload, an UploadFile, or None."
        )

    @property
    def folder(self) -> str:
        """Folder that its client had it in, such as `photos/2026`, if its route keeps that; empty if there is none."""
        return self._metadata.get(FOLDER, "")

    # -- what a row that holds it keeps, and watches -----------------------------------------------

    @property
    def filename(self) -> str:
        """Name that the client gave it; one that is set is sanitised."""
        return self._filename

    @filename.setter
    def filename(self, filename: str) -> None:
        self._filename = safe_filename(_check_text(filename, "A filename"))
        self._metadata.tell(lambda file: setattr(file, "filename", filename))

    @property
    def content_type(self) -> str:
        """Media type; `UnsupportedContentError` if one that is set is none."""
        return self._content_type

    @content_type.setter
    def content_type(self, content_type: str) -> None:
        self._content_type = _check_text(content_type, "A media type", is_type=True)
        self._metadata.tell(lambda file: setattr(file, "content_type", content_type))

    @property
    def metadata(self) -> Metadata:
        """Any text, kept in the row and, where the store can, with the object."""
        return self._metadata

    @metadata.setter
    def metadata(self, values: Mapping[str, str]) -> None:
        self._metadata.replace(values)

    def update_metadata(self, values: Mapping[str, str]) -> None:
        """Add to the metadata, or replace what has these names."""
        self.metadata.update(values)

    # -- where its bytes are -----------------------------------------------------------------------

    @property
    def backend(self) -> str | None:
        """Key of the backend that holds the bytes, or will; `UnsupportedContentError` if one is set once they are."""
        return self._backend

    @backend.setter
    def backend(self, backend: str | StorageBackend | None) -> None:
        key = backend if backend is None or isinstance(backend, str) else _register(backend, self._registry)
        if key != self._backend:
            if self._backend is not None:
                self._refuse_to_move("backend", key)
            self._backend = key

    @property
    def path(self) -> str | None:
        """Path of the object, once there is one; `UnsupportedContentError` if one is set once the bytes are stored."""
        return self._path

    @path.setter
    def path(self, path: str | None) -> None:
        if path != self._path:
            self._refuse_to_move("path", path)
            self._path = self._chosen_path = None if path is None else _check_text(path, "An object key (path=)")

    def _refuse_to_move(self, name: str, value: str | None) -> None:
        if self.state not in {FileState.PENDING, FileState.RESERVED}:
            raise UnsupportedContentError(
                f"The {name} of {self.filename!r} can't become {value!r}: {self.state.value}, and stored bytes never "
                "move. Put FileObject(backend=…, path=…) in its place for another stored object, or its copy_async()."
            )

    @property
    def registry(self) -> StorageRegistry:
        """Registry in which its backend is looked up."""
        return self._registry

    @property
    def is_stored(self) -> bool:
        """Tell whether its bytes are complete at its path."""
        return self.state is FileState.STORED

    def refuse_unreadable(self) -> None:
        """Raise `UnreadableFileError` if it only stands for a value in a row that says of no file where it is."""
        if self.unreadable is not None:
            raise self.unreadable.error()

    @property
    def is_upload(self) -> bool:
        """Tell whether a client stores it by an upload URL, and may overwrite it: no row takes it, but a copy of it."""
        if self._path is None or self._content is not None or self.state is FileState.GONE:
            return False
        return is_upload_path(self._path)

    @property
    def upload_path(self) -> str | None:
        """Path that its last upload URL is for, to be kept until the upload is confirmed; None if it has none.

        It is that of the file itself, unless that is stored: nobody stores over it.
        """
        if self._staged is not None:
            return self._staged
        return self._path if self.is_upload or self.is_stored_once else None

    @property
    def is_stored_once(self) -> bool:
        """Tell whether a client stores it by a URL that writes once, so that a row takes it where it lies."""
        return self._path is not None and self.state is FileState.RESERVED and is_once_path(self._path)

    @property
    def promoted_from(self) -> Location | None:
        """Location of the upload of a client that this is a copy of, until a committed row has the copy."""
        return None if self._upload is None else (self._backend, self._upload)

    def refuse_upload(self) -> None:
        """Raise `PendingContentError` if a row would have what a client may still overwrite."""
        if self.is_upload:
            raise PendingContentError(
                f"{self.filename!r} can't be written to a row: it is where a client stored it by an upload URL and can "
                "overwrite it. First `await file.confirm_async()`, which copies it to a path of its own, or give it to "
                "a FileService, which does so before its transaction."
            )

    @property
    def gets_new_path(self) -> bool:
        """Tell whether it is to be stored, or copied from where a client stored it, at a path that is generated."""
        return not self.is_stored and (self._path is None or is_upload_path(self._path))

    @property
    def is_checked(self) -> bool:
        """Tell whether its bytes are stored, and keep the rules of the column that it is in, or on its way to."""
        custody = self.custody
        return self.is_stored and (custody.rules.is_empty or custody.checked_by is custody.rules)

    @property
    def location(self) -> Location:
        """Backend and path: what makes it the same object as another.

        Raises:
            TypeError: It has none before it is stored.
        """
        if self._path is None:
            raise TypeError(f"{self.filename!r} has no location before it is stored: save it, or keep it in a list.")
        return self._backend, self._path

    @property
    def id(self) -> str | None:
        """What tells it from the other files of a list: 22 characters, the same for as long as it is stored.

        They are derived from backend and path, and tell neither; None before there is a path.
        """
        return None if self._path is None else id_of(self._backend, self._path)

    @property
    def destination(self) -> Location | None:
        """Location where its bytes are or are on their way to, if that is known."""
        path = self.custody.reserved_path or self._path
        return None if path is None else (self._backend, path)

    @property
    def has_own_path(self) -> bool:
        """Tell whether its path was given, and not generated, so that another object may have had it before."""
        return self._chosen_path is not None

    def assign(self, backend: str | None, registry: StorageRegistry, rules: FileRules = NO_RULES) -> None:
        """Choose the column it is for: it is stored at the backend it names, else at this one, if the rules take it.

        One that is on its way to a column already is left to that one: whoever stores it goes by its rules.
        """
        unit = self.custody.unit
        if unit is not None and unit() is not None and not self.is_stored:
            return
        self.custody.rules = rules
        if not self.is_stored:
            self._backend, self._registry = self._backend or backend, registry

    def note_checked(self, rules: FileRules) -> None:
        """Note that it keeps the rules of its column, or that it was there before."""
        self.custody.rules = self.custody.checked_by = rules

    def reserve(self, path: str, claim: object) -> None:
        """Store it at a generated path that a ledger knows of."""
        self.custody.reserved_path, self.custody.claim = path, claim

    def become_new(self, path: str) -> None:
        """Describe an object of its own that is about to be stored at a generated path."""
        self._path, self.state, self.custody.fresh = path, FileState.RESERVED, True
        self._chosen_path = self._content = self._url = self._staged = self._upload = self.custody.claim = None

    def take_over(self, stored: "FileDescription") -> None:
        """Be the object that another file has stored, with all that is known of it."""
        for name in _OF_OBJECT:
            setattr(self, name, getattr(stored, name))
        self._chosen_path = self._staged = None
        self._metadata.tell(lambda file: cast("FileDescription", file).take_over(stored))

    def note_committed(self) -> None:
        """Note that a committed row points to the bytes: the content is no longer needed."""
        self.custody.claim_ends.append(True)  # its copies see it
        self.custody.fresh, self.custody.is_held = False, True
        self._content = self._upload = None

    def undo(self) -> None:
        """Note that the bytes are deleted since no row came to point to them; content that can be stored again is.

        What was copied from where a client stored it is to be confirmed again.
        """
        if self._upload is None and self._content is None:
            self.state = FileState.GONE
        else:
            self.size = self.checksum = self.etag = self.last_modified = self.version_id = None
            if self._upload is not None:
                self.state, self._path, self._upload = FileState.RESERVED, self._upload, None
            else:
                self.state, self._path = FileState.PENDING, self._chosen_path
        self.custody.fresh, self.custody.claim = False, None

    def _not_stored(self, what: str) -> PendingContentError:
        """Return the error that says why this can't be done to a file that is pending, and what to do."""
        if self._content is not None:
            return PendingContentError(f"{self.filename!r} can't be {what}: {self.state.value}. Save it first.")
        return PendingContentError(
            f"{self.filename!r} can't be {what}: it has no content, and nothing says which stored object it is, for a "
            "filename names none. Pass path= to FileObject for an object that is stored, content= for a new one."
        )

    # -- being a value -----------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FileDescription):
            return NotImplemented
        if self._path is None or other._path is None:
            return self is other
        return self._path == other._path and self._backend == other._backend

    def __hash__(self) -> int:
        return hash(self.location)

    def to_dict(self) -> dict[str, object]:
        """Return what is known of it for a log or an answer of one's own; not the key of its backend."""
        return {
            "filename": self.filename,
            "content_type": self.content_type,
            "size": self.size,
            "path": self.path,
            "last_modified": None if self.last_modified is None else self.last_modified.timestamp(),
            "checksum": self.checksum,
            "etag": self.etag,
            "version_id": self.version_id,
            "metadata": dict(self.metadata),
        }

    def __str__(self) -> str:
        return self.filename

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.filename!r} {self.content_type} {self.state.name.lower()} "
            f"size={self.size} backend={self.backend!r} path={self.path!r}>"
        )

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        for name in FileDescription.__slots__:
            setattr(twin, name, getattr(self, name))
        twin._metadata = Metadata(self._metadata)
        twin.custody = self.custody.of_copy(is_stored=self.is_stored)
        return twin

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        twin = memo[id(self)] = self.__copy__()
        return twin

    def __getstate__(self) -> dict[str, Any]:
        if self.state is FileState.PENDING:
            raise self._not_stored("pickled")
        return {name: getattr(self, name) for name in FileDescription.__slots__ if name not in _STAYS_HERE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._registry, self.custody, self.prefix = storages, Custody(is_held=False), ""
        self._content = self.unreadable = self._staged = self._upload = self.upload_limit = None
        for name, value in state.items():
            setattr(self, name, value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return json_schema_of(handler)


_STAYS_HERE = frozenset({"_content", "_registry", "custody"})
"""What can't travel: an open file, live connections, a thread's business, a database, a column's validators.

Nor does the right to delete the bytes: a job that is run twice must not undo what a row of the first run holds.
"""


_OF_OBJECT = (
    *("_content_type", "_path", "_upload", "checksum", "custody", "etag", "last_modified", "size", "state"),
    "version_id",
)
"""What belongs to the object, and not to its name in a row."""


def _register(backend: StorageBackend, registry: StorageRegistry) -> str:
    if not isinstance(getattr(backend, "key", None), str):
        raise UnsupportedContentError(f"A backend is one of ours or its key, and not {_kind(backend)}.")
    registry.register_backend(backend)
    return backend.key


def _check_text(text: str, what: str, *, is_type: bool = False) -> str:
    if not isinstance(text, str):
        raise UnsupportedContentError(f"{what} is text, and not {_kind(text)}.")
    if is_type and not is_media_type(text):
        raise UnsupportedContentError(f"{text!r} is not a media type: write it like 'application/pdf'.")
    return text


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
