"""Offer networked stores and memory, by obstore, and local folders, by this library, as one kind of backend."""

import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NoReturn

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.backend import (
    NO_METADATA,
    Announcement,
    Answer,
    Join,
    ObjectInfo,
    ObjectStream,
    Place,
    SignedURL,
    UnfinishedUpload,
    bad_range,
    empty_chunks,
)
from fastapi_filestore.storage.client_parts import PartsOfClients
from fastapi_filestore.storage.content import Content, read_content
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.local.driver import FolderDriver
from fastapi_filestore.storage.local.durability import Durability
from fastapi_filestore.storage.local.folder import LocalFolder
from fastapi_filestore.storage.obstore.driver import StoreDriver
from fastapi_filestore.storage.obstore.moving.metadata import CONTENT_TYPE, attributes_for
from fastapi_filestore.storage.obstore.moving.parts import plan_parts
from fastapi_filestore.storage.obstore.opening.elsewhere import check_public_url, public_address
from fastapi_filestore.storage.obstore.opening.stores import Store, connect, place_of
from fastapi_filestore.storage.obstore.process import Lifetime
from fastapi_filestore.storage.paths import UPLOADS, check_bound, check_held_path, check_path, leads_to_uploads


class ObstoreBackend:
    """Objects in S3, Google Cloud Storage, Azure Blob Storage or memory by obstore, or files in a local folder.

    Nothing is sent when it is made. Credentials that are given are used alone; without any, the environment, `~/.aws`
    (with boto3 installed) and roles are asked as the store's own tools would.

    Args:
        key: The name that rows and settings know it by.
        fs: `s3://bucket`, `gs://bucket`, `az://container` (each may go on with `/prefix`), `file:///folder` or a
            path (created when missing), `memory://`, or a store of obstore.
        options: What the store needs, as `aws_access_key_id`, `google_service_account` or
            `azure_storage_connection_string`. All networked stores take `allow_http`, `timeout` (the longest wait for
            the store's next bytes, in seconds), `connect_timeout`, `client_options` and `retry_config`. A local
            folder takes `mkdir` and `durable`: what is stored, copied and deleted there outlasts a power cut unless
            that is False. The files and folders made there have `file_mode` (0640) and `folder_mode` (0750), whatever
            the umask is.
            With `public_url`, the address of a public bucket or of what serves it, `file.url` is that and the path,
            without a signature. With `public_endpoint`, where browsers reach a store behind a network that the
            application reaches elsewhere, URLs are signed for that host.

    Raises:
        ConfigurationError: The URL or the options can't work; the message says what to change.
    """

    def __init__(self, key: str, fs: "str | os.PathLike[str] | Store", **options: object) -> None:
        if not key:
            raise ConfigurationError("A backend needs a key: the name that rows and settings know it by.")
        self.key: Final = key
        try:
            self._public_url = check_public_url(options.pop("public_url", None))
            connection = connect(fs, options)
        except ConfigurationError as exc:
            raise ConfigurationError(f"Backend {key!r}: {exc}") from None
        self._store_url, self._place = connection.store_url, place_of(connection)
        if any(leads_to_uploads(part) for part in self._place.below):
            raise ConfigurationError(
                f"Backend {key!r} would be below a folder {UPLOADS}, where clients store by upload URLs: choose "
                "another folder or prefix."
            )
        self._lifetime = Lifetime(key)
        self._driver: StoreDriver | FolderDriver
        if (root := connection.store_url.root) is None:
            self._driver = StoreDriver(self._lifetime, connection)
        else:
            keeps_folders = not connection.removes_folders
            durability = Durability(key, root, is_on=connection.is_durable, believes=keeps_folders)
            self._driver = FolderDriver(LocalFolder(key, root, durability, keeps_folders, connection.modes))

    @property
    def url(self) -> str:
        """URL of its objects; never holds a secret."""
        return str(self._store_url)

    @property
    def place(self) -> Place:
        """Place of its objects, to be told from others."""
        return self._place

    def __repr__(self) -> str:
        return f"ObstoreBackend(key={self.key!r}, fs={self.url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"Backend {self.key!r} can't be pickled: its credentials would go along. Register a backend of the same "
            "key where the pickle is read."
        )

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

        Content shorter than a part (5 MiB) is one request. Longer content with `if_absent` first takes the path with
        an empty object. With `if_absent`, an upload that is cancelled too late to be stopped is deleted again;
        without, it may have replaced an object, so it stays.
        """
        self._lifetime.check()
        check_path(path)
        reader, kind = read_content(content), self._store_url.kind
        plan = plan_parts(
            kind,
            size=reader.size,
            use_multipart=use_multipart,
            chunk_size=chunk_size,
            max_concurrency=max_concurrency,
        )
        with translating(self.key, path):
            attributes = attributes_for(
                kind,
                content_type=content_type,
                content_disposition=content_disposition,
                metadata=metadata or NO_METADATA,
            )
        stored = await self._driver.put(path, reader, attributes, plan, if_absent=if_absent)
        return ObjectInfo(
            path=path,
            size=stored.size,
            last_modified=datetime.now(UTC),
            etag=stored.etag,
            version_id=stored.version_id,
            content_type=attributes[CONTENT_TYPE] if attributes else None,
            metadata=dict(metadata) if attributes and metadata else NO_METADATA,
        )

    async def open(self, path: str, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Open an object, or its bytes from `start` up to but without `end`, for reading in one request.

        An `end` past the object's is its end; an empty range yields nothing. A range from 0 is fine for an empty
        object, any other range at or after the end raises `RangeNotSatisfiableError`.
        """
        if start < 0 or (end is not None and end < start):
            raise bad_range(self.key, path, start)
        if end == start:
            info = await self.head(path)
            if start > info.size:
                raise bad_range(self.key, path, start, size=info.size)
            return ObjectStream(info, start, start, empty_chunks())
        self._lifetime.check()
        return await self._driver.open(check_held_path(path), start, end)

    async def head(self, path: str) -> ObjectInfo:
        """Return what the store knows of an object; `ObjectNotFoundError` if it is missing."""
        self._lifetime.check()
        return await self._driver.head(check_held_path(path))

    async def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, content type and metadata included; its bytes stay there.

        It is an object of its own, as old as the copy; what was at the target is replaced. S3 copies no object above
        5 GiB, and Azure may still be copying when it answers: their bytes pass through here, in bounded memory.
        """
        self._lifetime.check()
        await self._driver.copy(check_held_path(source), check_path(target))

    @property
    def join(self) -> Join | None:
        """What makes an object of others in a local folder; None of every other store."""
        return None if self._lifetime.is_closed else self._driver.join

    async def make_durable(self, path: str) -> None:
        """Make an object that somebody else put into a local folder outlast a power cut; elsewhere it does."""
        self._lifetime.check()
        await self._driver.make_durable(path)

    async def delete(self, *paths: str) -> None:
        """Delete objects, several at a time; a missing one is fine. In a local folder, a power cut undoes nothing."""
        self._lifetime.check()
        for path in paths:
            check_held_path(path)
        if paths:
            await self._driver.delete(paths)

    async def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Iterate the objects below a prefix, those after a path only if given, with flat memory.

        A prefix is a folder: `a` lists `a/b` but not `ab`. They come in the order of paths, as far as the server keeps
        it (SeaweedFS goes folder by folder).
        """
        self._lifetime.check()
        below = prefix.removesuffix("/")
        if below:
            check_path(below)
        if after is not None:
            check_bound(after)
        async for info in self._driver.list(below, after):
            yield info

    async def sign(
        self,
        path: str,
        *,
        method: Literal["GET", "PUT"] = "GET",
        expires_in: int,
        content_type: str | None = None,
    ) -> SignedURL:
        """Presign a URL for `expires_in` seconds; `SigningUnavailableError` where the store has none."""
        self._lifetime.check()
        check = check_path if method == "PUT" else check_held_path
        return await self._driver.sign(check(path), method=method, expires_in=expires_in, content_type=content_type)

    async def sign_once(self, path: str, *, expires_in: int, announced: Announcement) -> SignedURL:
        """Presign an upload URL that stores what was announced, once, and never over an object that is there.

        That needs keys: of S3, given or found by boto3; of Azure, an account key; of Google, a service account's and
        the extra `google`. The store is tried first, once while the backend lives: a second request must be refused.

        Raises:
            SigningUnavailableError: There are no such keys, or the store does not refuse the second one.
        """
        self._lifetime.check()
        return await self._driver.sign_once(check_path(path), expires_in=expires_in, announced=announced)

    @property
    def client_parts(self) -> PartsOfClients | None:
        """What lets clients store in parts; None of every store but S3."""
        return None if self._lifetime.is_closed else self._driver.client_parts

    async def sign_download(
        self, path: str, *, expires_in: int, content_type: str, content_disposition: str
    ) -> SignedURL:
        """Presign a URL whose answer is of this type and disposition; `SigningUnavailableError` where there is none.

        The signature says so of S3 whose keys are known here, and of Azure with an account key. Elsewhere what was
        stored with the object must be as safe: the same type and, unless it may be shown in place, an attachment.
        """
        self._lifetime.check()
        return await self._driver.sign_download(
            check_held_path(path),
            expires_in=expires_in,
            content_type=content_type,
            content_disposition=content_disposition,
            for_proxy=False,
        )

    async def sign_for_proxy(
        self, path: str, *, expires_in: int, content_type: str, content_disposition: str
    ) -> SignedURL:
        """Presign a URL as `sign_download` does, for a server that reaches the store where the application does."""
        self._lifetime.check()
        return await self._driver.sign_download(
            check_held_path(path),
            expires_in=expires_in,
            content_type=content_type,
            content_disposition=content_disposition,
            for_proxy=True,
        )

    def public_url(self, path: str) -> str | None:
        """Return the address at which anybody may fetch an object; None unless the backend's files are public."""
        return None if self._public_url is None else public_address(self._public_url, path)

    @property
    def folder(self) -> Path | None:
        """The local folder that its objects are files in; None for every other store."""
        return self._driver.root

    def obstacle_to_others(self) -> str | None:
        """Return what has to be done before a program of another user, as nginx in front, can read a local folder."""
        return self._driver.obstacle_to_others()

    @property
    def has_links(self) -> bool:
        """Tell whether a path may lead to an object of another path, as links in a local folder do."""
        return self._driver.has_links

    async def listed_as(self, paths: Sequence[str]) -> Sequence[str]:
        """Return, of each path, that of the object which links in a local folder lead it to; itself elsewhere."""
        return await self._driver.listed_as(paths)

    async def probe(self, *, write: bool = True) -> None:
        """Raise the fitting `StorageError` if the bucket can't be read, or written, with the credentials given.

        To try the latter, an object is stored as uploads are, below `.filestore-uploads/`, and deleted again.
        """
        self._lifetime.check()
        await self._driver.probe(write=write)

    async def aclose(self) -> None:
        """Release connections and credentials; a closed backend raises on use."""
        if not self._lifetime.is_closed:
            self._lifetime.is_closed = True
            self._driver.close()

    # -- what a check asks ----------------------------------------------------------------------------

    async def ask(self, signed: SignedURL | None = None, content: bytes | None = None) -> Answer | None:
        """Use a signed URL as a browser would, or, without one, ask for the bucket as a stranger; None if none can."""
        self._lifetime.check()
        return await self._driver.ask(signed, content)

    @property
    def region(self) -> str | None:
        """The region that requests are signed for; None where a store has none."""
        return self._driver.region

    async def drops_unfinished(self) -> bool:
        """Tell whether the store drops unfinished uploads: Azure, Google Cloud and memory do, S3 by a rule (boto3)."""
        self._lifetime.check()
        return await self._driver.drops_unfinished()

    # -- what killed processes left --------------------------------------------------------------------

    async def unfinished_uploads(self) -> AsyncIterator[UnfinishedUpload]:
        """Iterate the unfinished uploads, those in progress included: of S3 (which needs boto3) and local folders.

        Azure and Google Cloud drop them by themselves.
        """
        self._lifetime.check()
        async for upload in self._driver.unfinished_uploads():
            yield upload

    async def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Drop the parts of an upload; it is fine if it has ended."""
        self._lifetime.check()
        await self._driver.abort_upload(upload)

    async def drop_unfinished(self, *paths: str) -> None:
        """Drop what unfinished uploads left of these paths: of S3 where boto3 is installed, and in a local folder."""
        self._lifetime.check()
        await self._driver.drop_unfinished(paths)

    async def remains_of(self, *paths: str) -> Mapping[str, Collection[str]]:
        """Return the names, by these paths, of what an unfinished upload may have left in a local folder."""
        return await self._driver.remains_of(paths)
