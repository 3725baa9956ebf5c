"""Define a backend, a named place that moves bytes, and the values it speaks in."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, runtime_checkable

from fastapi_filestore.errors import RangeNotSatisfiableError, UnsupportedContentError
from fastapi_filestore.storage.content import Content

NO_METADATA: Mapping[str, str] = MappingProxyType({})
SHA256 = re.compile("[0-9a-fA-F]{64}")
READ_TIMEOUT = timedelta(seconds=10)
"""The silence of a store, before and between bytes, after which it is given up."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The facts that a store tells of one object.

    `path` is where it lies, `size` is in bytes, `last_modified` is aware (UTC). `content_type` and `metadata`
    are what the store holds: None and empty where it can't hold them (local disk), or for a listing.
    """

    path: str
    size: int
    last_modified: datetime
    etag: str | None = None
    version_id: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class SignedURL:
    """A URL that lets whoever holds it do one thing until it expires, so that it is not in the `repr`.

    The client must send `method` with exactly these `headers`.
    """

    url: str = field(repr=False)
    method: Literal["GET", "PUT"]
    expires_at: datetime
    headers: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a client says that it will store: bytes, media type, and SHA-256 in hexadecimal digits.

    Raises:
        UnsupportedContentError: There is no such size, or no such digest.
    """

    size: int | None = None
    content_type: str | None = None
    checksum: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 0:
            raise UnsupportedContentError(f"A size of {self.size} bytes was announced: nothing is that short.")
        if self.checksum is not None and SHA256.fullmatch(self.checksum) is None:
            raise UnsupportedContentError("The checksum that was announced is no SHA-256 of 64 hexadecimal digits.")


@runtime_checkable
class Closable(Protocol):
    """What holds something: a backend its connections, an asynchronous generator that isn't read to its end."""

    async def aclose(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class ObjectStream:
    """An object, or a range of one, being read: iterate it once for its chunks.

    The bytes are `start` (inclusive) to `end` (exclusive) of an object that `info` describes.
    """

    info: ObjectInfo
    start: int
    end: int
    chunks: AsyncIterable[bytes]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self.chunks)

    async def read(self) -> bytes:
        """Return all of the bytes at once."""
        return b"".join([chunk async for chunk in self])

    async def aclose(self) -> None:
        """Let go of what is being read; needed only where it is not read to its end."""
        if isinstance(self.chunks, Closable):
            await self.chunks.aclose()


@dataclass(frozen=True, slots=True)
class Stored:
    """The facts of content that was stored; the size is counted."""

    size: int
    etag: str | None
    version_id: str | None


def bad_range(backend: str, path: str, start: int, *, size: int | None = None) -> RangeNotSatisfiableError:
    """Return the error for a range that an object does not have; `size` is the object's, if it is known."""
    actual = "" if size is None else f": it has {size:,} bytes"
    return RangeNotSatisfiableError(
        f"Backend {backend!r} has no range at {start:,} of {path!a}{actual}.", size=size, backend=backend, path=path
    )


async def empty_chunks() -> AsyncIterator[bytes]:
    """Iterate no bytes."""
    empty: tuple[bytes, ...] = ()
    for chunk in empty:
        yield chunk


@runtime_checkable
class StorageBackend(Protocol):
    """A named place for objects: all that a backend must do. Every failure is a `StorageError`.

    Every method may run on any event loop. What else a store can do, the further protocols here name; the library does
    without: it copies by reading and writing, and signs URLs of the application's own.
    """

    @property
    def key(self) -> str:
        """The name that rows and settings know it by."""
        ...

    async def put(
        self,
        path: str,
        content: Content,
        *,
        content_type: str | None = None,
        content_disposition: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        use_multipart: bool | None = None,
        chunk_size: int | None = None,
        max_concurrency: int | None = None,
    ) -> ObjectInfo:
        """Store content at a path, in bounded memory, and return what the store knows of it.

        If it fails or is cancelled, nothing is left behind, not even an unfinished multipart upload.

        Args:
            path: Where the object is to lie.
            content: Any of the forms that `Content` names.
            content_type: Media type, kept with the object where the store can.
            content_disposition: Header to serve the object with, kept where the store can.
            metadata: Any text; encoded where the store can't hold it as it is.
            if_absent: Raise `ObjectExistsError` rather than overwrite.
            use_multipart: True or False forces a multipart upload or a single request; None decides by size.
            chunk_size: Size of a part, in bytes.
            max_concurrency: Parts in flight at once; memory is about `chunk_size * max_concurrency`.
        """
        ...

    async def open(self, path: str, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Open an object, or its bytes from `start` up to but without `end`, for reading in one request.

        An `end` past the object's is its end. Raises `ObjectNotFoundError`, and `RangeNotSatisfiableError` if
        `start` is at or after the end of a range asked for.
        """
        ...

    async def head(self, path: str) -> ObjectInfo:
        """Return what the store knows of an object; `ObjectNotFoundError` if it is missing."""
        ...

    async def delete(self, *paths: str) -> None:
        """Delete objects; a missing one is fine."""
        ...

    def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Iterate the objects below a prefix, those after a path only if given, with flat memory."""
        ...


@runtime_checkable
class CopiedObjects(Protocol):
    """An optional part of a backend: copying inside the store."""

    async def copy(self, source: str, target: str) -> None:
        """Copy an object with its type and metadata inside the store; its bytes don't pass through here."""
        ...


Join = Callable[[Sequence[str], str], Awaitable[ObjectInfo]]
"""Makes an object at a path, whole or not at all, of the bytes of those at some paths, one after the other."""


@runtime_checkable
class JoinedObjects(Protocol):
    """An optional part of a backend: making an object of others inside the store."""

    @property
    def join(self) -> Join | None:
        """What does so, without their bytes passing through here; None if the store can't."""
        ...


@runtime_checkable
class SignedObjects(Protocol):
    """An optional part of a backend: signed URLs of the store's own."""

    async def sign(
        self, path: str, *, method: Literal["GET", "PUT"] = "GET", expires_in: int, content_type: str | None = None
    ) -> SignedURL:
        """Presign a URL for `expires_in` seconds; `SigningUnavailableError` where the store has none."""
        ...


@runtime_checkable
class OnceSignedObjects(Protocol):
    """An optional part of a backend: upload URLs that store an object once, and never over one that is there.

    What is stored so is taken where it lies; without it, it is copied first.
    """

    async def sign_once(self, path: str, *, expires_in: int, announced: Announcement) -> SignedURL:
        """Presign an upload URL that stores what was announced, once.

        Raises:
            SigningUnavailableError: It can't be signed, or the store was not seen to refuse a second object.
        """
        ...


@runtime_checkable
class ProbedStore(Protocol):
    """An optional part of a backend: telling whether its store can be used, for FILESTORE_PROBE."""

    async def probe(self, *, write: bool = True) -> None:
        """Raise the fitting `StorageError` if the bucket can't be read, or written, with the credentials given.

        Args:
            write: Whether writing is to be tried as well; one that never writes may do without this argument.
        """
        ...


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """An upload that began and never ended: its parts take space, and no listing shows them.

    Where only the name of a file tells that it is one, `name` is that: an object of another program may have it.
    """

    path: str
    upload_id: str
    started: datetime
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a backend's objects: what tells its store from others, and the path in it that they are below."""

    store: tuple[object, ...]
    below: tuple[str, ...] = ()

    def overlaps(self, other: "Place") -> bool:
        """Tell whether an object may be in both."""
        depth = min(len(self.below), len(other.below))
        return self.store == other.store and self.below[:depth] == other.below[:depth]


@runtime_checkable
class PlacedObjects(Protocol):
    """An optional part of a backend: its place, by which a registry keeps two backends from sharing objects."""

    @property
    def place(self) -> Place:
        """Place of its objects."""
        ...

    @property
    def url(self) -> str:
        """The same, as a person would write it; never holds a secret."""
        ...


@runtime_checkable
class UnfinishedUploads(Protocol):
    """An optional part of a backend: finding and dropping what killed processes left half uploaded."""

    def unfinished_uploads(self) -> AsyncIterator[UnfinishedUpload]:
        """Iterate the unfinished uploads, those in progress included; none where a store drops them by itself."""
        ...

    async def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Drop the parts of an upload; it is fine if it has ended."""
        ...


@runtime_checkable
class DurableObjects(Protocol):
    """An optional part of a backend: objects that somebody else put there, made to outlast a power cut."""

    async def make_durable(self, path: str) -> None:
        """Return once an object outlasts a power cut: its row is about to be committed.

        Raises:
            ObjectNotFoundError: It is missing.
        """
        ...


@runtime_checkable
class UploadRemains(Protocol):
    """An optional part of a backend: dropping what killed processes left half uploaded of some paths."""

    async def drop_unfinished(self, *paths: str) -> None:
        """Drop what unfinished uploads left of these paths, where it can be seen; it is fine if there is nothing."""
        ...


@runtime_checkable
class NamedRemains(Protocol):
    """An optional part of a backend: telling what it drops as left of unfinished uploads, if it goes by names alone.

    Another program's object may have such a name.
    """

    async def remains_of(self, *paths: str) -> Mapping[str, Collection[str]]:
        """Return the names, by these paths, of what `drop_unfinished` would drop of them."""
        ...


@runtime_checkable
class DownloadURLs(Protocol):
    """An optional part of a backend: URLs to send clients to, whose answers are what they should be."""

    async def sign_download(
        self, path: str, *, expires_in: int, content_type: str, content_disposition: str
    ) -> SignedURL:
        """Presign a URL whose answer is of this type and disposition.

        Raises:
            SigningUnavailableError: The store has no signed URLs, or can't be held to type and disposition.
        """
        ...


@runtime_checkable
class ProxiedURLs(Protocol):
    """An optional part of a backend: URLs for a server in front, which may reach a store where no browser does."""

    async def sign_for_proxy(
        self, path: str, *, expires_in: int, content_type: str, content_disposition: str
    ) -> SignedURL:
        """Presign a URL as `DownloadURLs.sign_download` does."""
        ...


@runtime_checkable
class PublicObjects(Protocol):
    """An optional part of a backend: addresses at which anybody may fetch its objects, without a signature."""

    def public_url(self, path: str) -> str | None:
        """Return the address of an object; None if it has none."""
        ...


@runtime_checkable
class LocalObjects(Protocol):
    """An optional part of a backend: the folder of this machine that its objects are files in, if there is one."""

    @property
    def folder(self) -> Path | None:
        """The folder; an object's path is below it."""
        ...


@runtime_checkable
class LinkedObjects(Protocol):
    """An optional part of a backend: telling what its listing calls an object that has several paths."""

    @property
    def has_links(self) -> bool:
        """Tell whether a path may lead to an object of another path."""
        ...

    async def listed_as(self, paths: Sequence[str]) -> Sequence[str]:
        """Return, of each path, that of the object which it leads to; itself where it leads to no other."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a store answers to a plain request: the status, the headers by their names in lower case, the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@runtime_checkable
class AskableStore(Protocol):
    """An optional part of a backend: what a check asks the store itself, as browsers and its owner do."""

    async def ask(self, signed: SignedURL | None = None, content: bytes | None = None) -> Answer | None:
        """Use a signed URL as a browser would, or, without one, ask for the bucket as a stranger; None if none can.

        Raises:
            OSError: The server can't be reached so.
        """
        ...

    @property
    def region(self) -> str | None:
        """The region that requests are signed for; None where a store has none."""
        ...

    async def drops_unfinished(self) -> bool:
        """Tell whether the store drops unfinished multipart uploads by itself, or by a rule of the bucket.

        Raises:
            ConfigurationError: It can't be asked without boto3.
            StorageError: The store does not say.
        """
        ...
