"""The file as a value: its name and type, where its bytes are, and what can be done with them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import copy
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any, Literal, Self, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from fastapi_filestore.errors import (
    FilestoreError,
    PendingContentError,
    StorageUnavailableError,
    UnsupportedContentError,
)
from fastapi_filestore.file_object.schema import core_schema_of, json_schema_of
from fastapi_filestore.intake.digest import DigestingStream
from fastapi_filestore.intake.names import guess_content_type, is_media_type, safe_filename
from fastapi_filestore.storage.backend import ObjectInfo, ObjectStream, SignedURL, StorageBackend
from fastapi_filestore.storage.blocking import run_blocking
from fastapi_filestore.storage.cleanup import finish
from fastapi_filestore.storage.content import Content, ContentReader, read_content
from fastapi_filestore.storage.keys import generate_key
from fastapi_filestore.storage.registry import StorageRegistry, storages

SIGNED_URL_SECONDS = 3600
"""How long a signed URL lives unless the caller says otherwise."""


Location: TypeAlias = tuple[str | None, str]
"""Backend key and object key."""


class FileState(Enum):
    """Where the bytes of a file are."""

    PENDING = "its content is not stored yet"
    RESERVED = "whoever holds its upload URL may still have to store it"
    STORED = "its bytes are complete at its object key"
    GONE = "its bytes were deleted"


class FileObject:
    """A file: its name and type, and where its bytes are.

    Attributes:
        backend: Key of the backend that holds the bytes; None until one is chosen.
        path: Object key; None until the bytes are stored or an upload URL is signed.
        filename: What the client called it, sanitised.
        content_type: Media type.
        metadata: Any text, kept in the row and, where the store can, with the object.
        size: Bytes.
        checksum: SHA-256 in hexadecimal digits.
        etag, last_modified, version_id: What the store says of the object.
        state: Where the bytes are.
        fresh: Whether this object stored the bytes itself and no committed row points to them yet.
        claim: The ledger that knows of the bytes as long as no committed row does.

    Two FileObjects are equal when backend and path are the same.
    """

    __slots__ = (
        "_content",
        "_key",
        "_registry",
        "_url",
        "backend",
        "checksum",
        "claim",
        "content_type",
        "etag",
        "filename",
        "fresh",
        "last_modified",
        "metadata",
        "path",
        "size",
        "state",
        "version_id",
    )

    def __init__(
        self,
        backend: str | StorageBackend | None = None,
        filename: str = "file",
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
            filename: What to call it; folders and hidden characters are dropped.
            content: Bytes, a `pathlib.Path`, an open binary file, an UploadFile, or an iterator of bytes.
            content_type: Media type; guessed from the filename's ending if None.
            metadata: Any text.
            path: An object key of one's own; generated if None.
            registry: Where `backend` is looked up.

        Raises:
            UnsupportedContentError: The content yields no bytes, or the content type is not a media type.
        """
        self._registry = registry
        self.backend = backend if backend is None or isinstance(backend, str) else _register(backend, registry)
        self.filename = safe_filename(filename)
        self.content_type = guess_content_type(self.filename) if content_type is None else _checked(content_type)
        self.metadata = dict(metadata or {})
        self.path = path
        self.size: int | None = None
        self.checksum: str | None = None
        self.etag: str | None = None
        self.last_modified: datetime | None = None
        self.version_id: str | None = None
        self.fresh = False
        self.claim: object | None = None
        self._key: str | None = None
        self.state = FileState.RESERVED if path is not None and content is None else FileState.PENDING
        self._content = None if content is None else read_content(content)
        self._url: str | None = None

    # -- storing -----------------------------------------------------------------------------------

    async def save_async(
        self,
        data: Content | None = None,
        *,
        use_multipart: bool | None = None,
        chunk_size: int | None = None,
        max_concurrency: int | None = None,
    ) -> Self:
        """Store the content and fill in size, checksum and entity tag; do nothing if it is stored already.

        Args:
            data: Content, if it was not given to the constructor.
            use_multipart: True or False forces a multipart upload or a single request; None decides by size.
            chunk_size: Size of a part, in bytes.
            max_concurrency: Parts in flight; memory is about `chunk_size * max_concurrency`.

        Raises:
            PendingContentError: There is no content to store.
            ContentConsumedError: The content could be read only once, and was.
            StorageError: The backend could not store it; nothing is left there.
        """
        if data is not None:
            self._offer(data)
        if self.state is FileState.STORED:
            return self
        stream = DigestingStream(self._pending_content().chunks())
        with_options = partial(
            self.backend_in_use().put,
            content=stream,
            content_type=self.content_type,
            metadata=self.metadata,
            use_multipart=use_multipart,
            chunk_size=chunk_size,
            max_concurrency=max_concurrency,
        )
        self._record(
            await (self._put_new(with_options) if self.path is None else with_options(self.path, if_absent=True))
        )
        self.checksum, self.fresh = stream.hexdigest, True
        return self

    async def _put_new(self, put: Callable[[str], Awaitable[ObjectInfo]]) -> ObjectInfo:
        path = self._key = self._key or generate_key()
        try:
            return await put(path)
        except (asyncio.CancelledError, StorageUnavailableError):
            # The store may have it all the same. Nobody else can have used the key, so it is safe to delete.
            with suppress(FilestoreError):
                await finish(self.backend_in_use().delete(path))
            raise
        finally:
            self._key = None

    def _offer(self, data: Content) -> None:
        if self.state is FileState.STORED:
            raise UnsupportedContentError(
                f"{self.filename!r} is stored already, and stored bytes never change: make a new FileObject."
            )
        self._content, self.state = read_content(data), FileState.PENDING

    def _pending_content(self) -> ContentReader:
        if self._content is None:
            raise PendingContentError(
                f"{self.filename!r} can't be stored: it has no content. Pass content= to FileObject, or data to save."
            )
        return self._content

    def backend_in_use(self) -> StorageBackend:
        """Return the backend that holds, or will hold, the bytes."""
        backend = self._registry.get_backend(self.backend)
        self.backend = backend.key
        return backend

    def _record(self, info: ObjectInfo) -> None:
        self.path, self.size, self.etag = info.path, info.size, info.etag
        self.last_modified, self.version_id = info.last_modified, info.version_id
        self.state = FileState.STORED

    async def confirm_async(self) -> Self:
        """Fill in what the store says of bytes that somebody else stored, with an upload URL.

        Raises:
            ObjectNotFoundError: Nobody stored them.
        """
        if self.state is FileState.RESERVED and self.path is not None:
            self._record(await self.backend_in_use().head(self.path))
        return self

    async def copy_async(self) -> Self:
        """Return a new file with the same bytes at a key of its own, copied inside the store."""
        twin = copy(self)
        twin.path, twin.fresh, twin.claim, twin._content = generate_key(), True, None, None
        await self.backend_in_use().copy(self._stored_path(), twin.path)
        twin._record(await self.backend_in_use().head(twin.path))
        return twin

    async def delete_async(self) -> None:
        """Delete the bytes; it is fine if they are missing."""
        if self.path is not None:
            await self.backend_in_use().delete(self.path)
        self.state, self.fresh = FileState.GONE, False

    def assign(self, backend: str | None, registry: StorageRegistry) -> None:
        """Choose where it will be stored, if nobody has chosen yet."""
        if self.backend is None:
            self.backend, self._registry = backend, registry

    def reserve(self, key: str, claim: object) -> None:
        """Store it at a generated key that a ledger knows of."""
        self._key, self.claim = key, claim

    def settle(self) -> None:
        """Note that a committed row points to the bytes: the content is no longer needed."""
        self.fresh, self.claim, self._content = False, None, None

    def undo(self) -> None:
        """Note that the bytes are deleted since no row came to point to them; content that can be stored again is."""
        if self._content is None:
            self.state = FileState.GONE
        else:
            self.state, self.path = FileState.PENDING, None
        self.fresh, self.claim = False, None

    @property
    def is_stored(self) -> bool:
        """Whether its bytes are complete at its object key."""
        return self.state is FileState.STORED

    # -- reading -----------------------------------------------------------------------------------

    async def open_async(self, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Open the bytes, or those from `start` up to but without `end`, for streaming."""
        return await self.backend_in_use().open(self._stored_path(), start=start, end=end)

    async def get_content_async(self) -> bytes:
        """Return all of the bytes."""
        return await (await self.open_async()).read()

    async def head_async(self) -> ObjectInfo:
        """Return what the store says of the object now."""
        return await self.backend_in_use().head(self._stored_path())

    def _stored_path(self) -> str:
        if self.path is None or self.state is FileState.PENDING:
            raise PendingContentError(f"{self.filename!r} can't be read: {self.state.value}. Save it first.")
        return self.path

    # -- signing -----------------------------------------------------------------------------------

    async def signed_url_async(
        self, *, expires_in: int = SIGNED_URL_SECONDS, method: Literal["GET", "PUT"] = "GET"
    ) -> SignedURL:
        """Sign a URL for `expires_in` seconds; the answer holds the headers that the client must send with it.

        Raises:
            PendingContentError: To download a file that is not stored, or to upload to one that is.
            SigningUnavailableError: The backend can't sign and no signing key is configured.
        """
        path = self._writable_path() if method == "PUT" else self._stored_path()
        return await self._registry.sign(
            self.backend_in_use().key,
            path,
            method=method,
            expires_in=expires_in,
            content_type=self.content_type,
            filename=self.filename,
        )

    def _writable_path(self) -> str:
        if self.state in {FileState.STORED, FileState.GONE}:
            raise PendingContentError(f"{self.filename!r} can't be uploaded to: {self.state.value}.")
        self.path, self.state = self.path or generate_key(), FileState.RESERVED
        return self.path

    async def sign_async(self, *, expires_in: int = SIGNED_URL_SECONDS, for_upload: bool = False) -> str:
        """Sign a URL to download the file or, with `for_upload`, to store it; `expires_in` is in seconds."""
        return (await self.signed_url_async(expires_in=expires_in, method="PUT" if for_upload else "GET")).url

    @property
    def url(self) -> str | None:
        """Where a client may fetch it: what a router said, else a signed URL of the application, else None."""
        if self._url is None and self._registry.signer and self.backend and self.state is FileState.STORED:
            return self._registry.signer.sign(
                self.backend,
                self._stored_path(),
                method="GET",
                expires_in=SIGNED_URL_SECONDS,
                content_type=self.content_type,
                filename=self.filename,
            ).url
        return self._url

    @url.setter
    def url(self, url: str | None) -> None:
        self._url = url

    # -- sync twins --------------------------------------------------------------------------------

    def save(
        self,
        data: Content | None = None,
        *,
        use_multipart: bool | None = None,
        chunk_size: int | None = None,
        max_concurrency: int | None = None,
    ) -> Self:
        """Do what `save_async` does, blocking."""
        return run_blocking(
            self.save_async(data, use_multipart=use_multipart, chunk_size=chunk_size, max_concurrency=max_concurrency)
        )

    def get_content(self) -> bytes:
        """Do what `get_content_async` does, blocking."""
        return run_blocking(self.get_content_async())

    def sign(self, *, expires_in: int = SIGNED_URL_SECONDS, for_upload: bool = False) -> str:
        """Do what `sign_async` does, blocking."""
        return run_blocking(self.sign_async(expires_in=expires_in, for_upload=for_upload))

    def delete(self) -> None:
        """Do what `delete_async` does, blocking."""
        run_blocking(self.delete_async())

    # -- being a value -----------------------------------------------------------------------------

    @property
    def location(self) -> Location:
        """Backend and object key: what makes it the same object as another.

        Raises:
            TypeError: It has none before it is stored.
        """
        if self.path is None:
            raise TypeError(f"{self.filename!r} has no location before it is stored: save it, or keep it in a list.")
        return self.backend, self.path

    @property
    def destination(self) -> Location | None:
        """Where its bytes are or are on their way to, if that is known."""
        path = self.path or self._key
        return None if path is None else (self.backend, path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FileObject):
            return NotImplemented
        if self.path is None or other.path is None:
            return self is other
        return self.location == other.location

    def __hash__(self) -> int:
        return hash(self.location)

    def __repr__(self) -> str:
        return (
            f"<FileObject {self.filename!r} {self.content_type} {self.state.name.lower()} "
            f"size={self.size} backend={self.backend!r} path={self.path!r}>"
        )

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.metadata = dict(self.metadata)
        return twin

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        twin = memo[id(self)] = self.__copy__()
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # The registry holds live connections and the content may be an open file; neither can travel.
        if self.state is FileState.PENDING:
            raise PendingContentError(f"{self.filename!r} can't be pickled: {self.state.value}. Save it first.")
        return {name: getattr(self, name) for name in self.__slots__ if name not in {"_registry", "_content", "claim"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._registry, self._content, self.claim = storages, None, None
        for name, value in state.items():
            setattr(self, name, value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return json_schema_of(handler)


def _register(backend: StorageBackend, registry: StorageRegistry) -> str:
    registry.register_backend(backend)
    return backend.key


def _checked(content_type: str) -> str:
    if not is_media_type(content_type):
        raise UnsupportedContentError(f"{content_type!r} is not a media type: write it like 'application/pdf'.")
    return content_type
