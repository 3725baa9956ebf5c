"""`ObstoreBackend`: every store of the reference behind one protocol."""

import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import obstore

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import (
    ConfigurationError,
    InvalidKeyError,
    ObjectNotFoundError,
    RangeNotSatisfiableError,
    SigningUnavailableError,
    StorageError,
    StoragePermissionError,
)
from fastapi_filestore.storage.backend import NO_METADATA, ObjectInfo, ObjectStream, Place, SignedURL, UnfinishedUpload
from fastapi_filestore.storage.content import Content, read_content
from fastapi_filestore.storage.failures.translate import translated
from fastapi_filestore.storage.local.copy import copy_file
from fastapi_filestore.storage.local.delete import delete_files
from fastapi_filestore.storage.local.durability import Durability
from fastapi_filestore.storage.local.folder import LocalFolder
from fastapi_filestore.storage.local.modes import obstacle_to_others
from fastapi_filestore.storage.local.read import FileChunks
from fastapi_filestore.storage.local.write import LocalUpload
from fastapi_filestore.storage.obstore.moving.delete import delete_all
from fastapi_filestore.storage.obstore.moving.long_copy import COPY_LIMIT, copy_through, copy_within
from fastapi_filestore.storage.obstore.moving.metadata import CONTENT_TYPE, attributes_for
from fastapi_filestore.storage.obstore.moving.parts import plan_parts
from fastapi_filestore.storage.obstore.moving.put import Upload
from fastapi_filestore.storage.obstore.moving.reading import (
    bad_range,
    info_of,
    info_of_listed,
    nothing,
    range_options,
    resumed,
)
from fastapi_filestore.storage.obstore.moving.unfinished import abort, drop_unfinished, remains_of, uploads_of
from fastapi_filestore.storage.obstore.opening.elsewhere import check_public_url, public_address
from fastapi_filestore.storage.obstore.opening.probe import PROBE, list_nothing, probe_bucket, probe_folder
from fastapi_filestore.storage.obstore.opening.region import Whereabouts
from fastapi_filestore.storage.obstore.opening.stores import Connection, Store, connect, place_of
from fastapi_filestore.storage.obstore.process import WORKERS
from fastapi_filestore.storage.obstore.signing.sign import sign_url
from fastapi_filestore.storage.obstore.signing.sign_download import bind_answer, is_stored_so
from fastapi_filestore.storage.paths import (
    UPLOADS,
    check_bound,
    check_held_key,
    check_key,
    generate_upload_path,
    leads_to_uploads,
)

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

LIST_PAGE = 1000


class ObstoreBackend:
    """Objects in S3, Google Cloud Storage, Azure Blob Storage, a local folder or memory, by obstore.

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
        self._key = key
        try:
            self._public_url = check_public_url(options.pop("public_url", None))
            connection = connect(fs, options)
        except ConfigurationError as exc:
            raise ConfigurationError(f"Backend {key!r}: {exc}") from None
        self._connection: Connection | None = connection
        self._location = connection.location
        self._place = _checked_place(key, place_of(connection))
        root = self._location.root
        self._whereabouts = Whereabouts(key, self._location.url)
        self._folder = None if root is None else _open_folder(key, root, connection)

    @property
    def key(self) -> str:
        """The name that rows and settings know it by."""
        return self._key

    @property
    def url(self) -> str:
        """Where its objects are; never holds a secret."""
        return self._location.url

    @property
    def place(self) -> Place:
        """Where its objects are, to be told from other places."""
        return self._place

    def __repr__(self) -> str:
        return f"ObstoreBackend(key={self._key!r}, fs={self.url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"Backend {self._key!r} can't be pickled: its credentials would go along. Register a backend of the same "
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
        """Store content at a key, in bounded memory, and return what the store knows of it.

        Content shorter than a part (5 MiB) is one request. Longer content with `if_absent` first takes the key with
        an empty object. With `if_absent`, an upload that is cancelled too late to be stopped is deleted again;
        without, it may have replaced an object, so it stays.
        """
        self._use()
        check_key(path)
        reader = read_content(content)
        plan = plan_parts(
            self._location.kind,
            size=reader.size,
            use_multipart=use_multipart,
            chunk_size=chunk_size,
            max_concurrency=max_concurrency,
        )
        with translated(self._key, path):
            attributes = attributes_for(
                self._location.kind,
                content_type=content_type,
                content_disposition=content_disposition,
                metadata=metadata or NO_METADATA,
            )
        if self._folder is None:
            upload = Upload(self._use_for_long(), self._key, path, attributes, plan, if_absent, reader.size)
            async with self._whereabouts.told(self._use()):
                stored = await upload.run(reader.chunks())
        else:
            stored = await LocalUpload(self._folder, path, if_absent).run(reader.chunks())
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
            raise bad_range(self._key, path, start)
        if end == start:
            return await self._open_empty(path, start)
        if self._folder is not None:
            return await self._open_local(self._folder, path, start, end)
        try:
            result = await self._get(path, range_options(start, end))
        except RangeNotSatisfiableError:
            if start > 0:
                raise bad_range(self._key, path, start, size=(await self.head(path)).size) from None
            return await self._open_empty(path, start)
        first, last = result.range
        return ObjectStream(
            info_of(path, result), first, last, resumed(partial(self._get, path), result, backend=self._key, path=path)
        )

    async def head(self, path: str) -> ObjectInfo:
        """Return what the store knows of an object; `ObjectNotFoundError` if it is missing."""
        try:
            if self._folder is not None:  # obstore would wait for somebody to write to a named pipe
                return await self._head_local(self._folder, path)
            return info_of(path, await self._get(path, {"head": True}))
        except ObjectNotFoundError:
            await self._check_bucket()
            raise

    async def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, content type and metadata included; its bytes stay there.

        It is an object of its own, as old as the copy; what was at the target is replaced. S3 copies no object above
        5 GiB, and Azure may still be copying when it answers: their bytes pass through here, in bounded memory.
        """
        self._use_at(source)
        check_key(target)
        kind = self._location.kind
        if self._folder is not None:
            await copy_file(self._folder, source, target)
        elif kind == "az" or (kind == "s3" and (await self.head(source)).size > COPY_LIMIT):
            connection = self._use_for_long()
            await copy_through(self._get, connection, kind=kind, backend=self._key, source=source, target=target)
        else:
            async with self._whereabouts.told(self._use()):
                await copy_within(self._use_for_long(), source, target, backend=self._key)

    async def settle(self, path: str) -> None:
        """Make an object that somebody else put into a local folder outlast a power cut; elsewhere it does."""
        self._use()
        if self._folder is not None:
            await self._folder.settle(check_held_key(path))

    async def delete(self, *paths: str) -> None:
        """Delete objects, several at a time; a missing one is fine. In a local folder, a power cut undoes nothing."""
        store = self._use()
        for path in paths:
            check_held_key(path)
        if self._folder is not None:
            await delete_files(self._folder, paths)
        elif paths:
            async with self._whereabouts.told(store):
                await delete_all(store, self._location.kind, paths, backend=self._key)

    async def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Iterate the objects below a prefix, those after a key only if given, with flat memory.

        A prefix is a folder: `a` lists `a/b` but not `ab`. They come in the order of keys, as far as the server keeps
        it (SeaweedFS goes folder by folder).
        """
        store = self._use()
        folder = prefix.removesuffix("/")
        if folder:
            check_key(folder)
        if after is not None:
            check_bound(after)
        if self._folder is not None:
            async for info in self._folder.list(folder, after=after, page=LIST_PAGE):
                yield info
            return
        async with self._whereabouts.told(store):
            async for info in self._listed(store, folder, after):
                yield info

    async def _listed(self, store: Store, folder: str, after: str | None) -> AsyncIterator[ObjectInfo]:
        with translated(self._key):
            async for page in obstore.list(store, folder or None, offset=after, chunk_size=LIST_PAGE):
                for meta in page:
                    # Not every server that speaks a store's protocol heeds the offset.
                    if after is None or meta["path"] > after:
                        yield info_of_listed(meta)

    async def sign(
        self,
        path: str,
        *,
        method: Literal["GET", "PUT"] = "GET",
        expires_in: int,
        content_type: str | None = None,
    ) -> SignedURL:
        """Presign a URL for `expires_in` seconds; `SigningUnavailableError` where the store has none."""
        return await self._sign(self._use_to_sign(), path, method, expires_in, content_type)

    async def _sign(
        self, store: Store, path: str, method: Literal["GET", "PUT"], expires_in: int, content_type: str | None
    ) -> SignedURL:
        return await sign_url(
            store,
            check_key(path) if method == "PUT" else check_held_key(path),
            backend=self._key,
            method=method,
            expires_in=expires_in,
            content_type=content_type,
        )

    async def sign_download(
        self, path: str, *, expires_in: int, content_type: str, content_disposition: str
    ) -> SignedURL:
        """Presign a URL whose answer is of this type and disposition; `SigningUnavailableError` where there is none.

        The signature says so of S3 whose keys are known here, and of Azure with an account key. Elsewhere what was
        stored with the object must be as safe: the same type and, unless it may be shown in place, an attachment.
        """
        return await self._sign_answer(self._use_to_sign(), path, expires_in, content_type, content_disposition)

    async def sign_for_proxy(
        self, path: str, *, expires_in: int, content_type: str, content_disposition: str
    ) -> SignedURL:
        """Presign a URL as `sign_download` does, for a server that reaches the store where the application does."""
        return await self._sign_answer(self._use(), path, expires_in, content_type, content_disposition)

    async def _sign_answer(
        self, store: Store, path: str, expires_in: int, content_type: str, content_disposition: str
    ) -> SignedURL:
        signed = await self._sign(store, path, "GET", expires_in, None)
        bound = await bind_answer(
            store, path, signed, content_type=content_type, content_disposition=content_disposition
        )
        if bound is None:
            await self._check_stored(path, content_type, content_disposition)
        return bound or signed

    def public_url(self, path: str) -> str | None:
        """Return the address at which anybody may fetch an object; None unless the backend's files are public."""
        return None if self._public_url is None else public_address(self._public_url, path)

    @property
    def folder(self) -> Path | None:
        """The local folder that its objects are files in; None for every other store."""
        return self._location.root

    def obstacle_to_others(self) -> str | None:
        """Return what has to be done before a program of another user, as nginx in front, can read a local folder."""
        with suppress(FileNotFoundError):  # which a probe tells of
            return None if self._folder is None else obstacle_to_others(self._folder.root, self._folder.modes)
        return None

    @property
    def has_links(self) -> bool:
        """Whether a path may lead to an object of another path, as links in a local folder do."""
        return self._folder is not None

    async def listed_as(self, paths: Sequence[str]) -> Sequence[str]:
        """Return, of each path, that of the object which links in a local folder lead it to; itself elsewhere."""
        return [*paths] if self._folder is None else await THREADS.run(self._folder.follow_links, paths)

    async def probe(self, *, write: bool = True) -> None:
        """Raise the fitting `StorageError` if the bucket can't be read, or written, with the credentials given.

        To try the latter, an object is stored as uploads are, below `.filestore-uploads/`, and deleted again.
        """
        store = self._use()
        if self._folder is not None:
            await probe_folder(self._folder, write=write)
        elif self._location.kind != "memory":
            async with self._whereabouts.told(store):
                await probe_bucket(store, backend=self._key)
            if write:
                path = generate_upload_path(0)
                await self.put(path, PROBE.encode(), if_absent=True)
                await self.delete(path)

    async def aclose(self) -> None:
        """Release connections and credentials; a closed backend raises on use."""
        self._connection = None

    # -- what killed processes left --------------------------------------------------------------------

    async def unfinished_uploads(self) -> AsyncIterator[UnfinishedUpload]:
        """Iterate the unfinished uploads, those in progress included: of S3 (which needs boto3) and local folders.

        Azure and Google Cloud drop them by themselves.
        """
        async for upload in uploads_of(self._use(), self._location.root, backend=self._key):
            yield upload

    async def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Drop the parts of an upload; it is fine if it has ended."""
        await abort(self._use(), self._folder, upload, backend=self._key)

    async def drop_unfinished(self, *paths: str) -> None:
        """Drop what unfinished uploads left of these keys: of S3 where boto3 is installed, and in a local folder."""
        await drop_unfinished(self._use(), self._folder, paths, backend=self._key)

    async def remains_of(self, *paths: str) -> Mapping[str, Collection[str]]:
        """Return the names, by these keys, of what an unfinished upload may have left in a local folder."""
        return await remains_of(self._folder, paths, backend=self._key)

    # -- one step of the above -------------------------------------------------------------------------

    def _use(self) -> Store:
        return self._use_for_long().store

    def _use_for_long(self) -> Connection:
        if self._connection is None:
            raise StorageError(f"Backend {self._key!r} is closed: use it inside its lifespan.", backend=self._key)
        WORKERS.enter(backend=self._key)
        return self._connection

    def _use_to_sign(self) -> Store:
        connection = self._use_for_long()
        return connection.store if connection.signing is None else connection.signing

    def _use_at(self, path: str) -> Store:
        store = self._use()
        check_held_key(path)
        return store

    async def _get(self, path: str, options: "GetOptions | None") -> "GetResult":
        store = self._use_at(path)
        try:
            async with self._whereabouts.told(store):
                with translated(self._key, path):
                    return await obstore.get_async(store, path, options=options)
        except InvalidKeyError as exc:
            # A name that a local folder can't hold is a name that it does not hold.
            raise ObjectNotFoundError(str(exc), backend=self._key, key=path) from None

    async def _head_local(self, folder: LocalFolder, path: str) -> ObjectInfo:
        self._use()
        info, file = await folder.open(check_held_key(path))
        file.close()
        return info

    async def _open_local(self, folder: LocalFolder, path: str, start: int, end: int | None) -> ObjectStream:
        self._use()
        info, file = await folder.open(check_held_key(path))
        if start and start >= info.size:
            raise bad_range(self._key, path, start, size=info.size)
        last = info.size if end is None else min(end, info.size)
        return ObjectStream(info, start, last, FileChunks(self._key, path, file, start, last))

    async def _open_empty(self, path: str, start: int) -> ObjectStream:
        info = await self.head(path)
        if start > info.size:
            raise bad_range(self._key, path, start, size=info.size)
        return ObjectStream(info, start, start, nothing())

    async def _check_bucket(self) -> None:
        # The answer to HEAD has no body that could tell a missing bucket from a missing object.
        if self._folder is None and self._location.kind != "memory":
            store = self._use()
            with suppress(StoragePermissionError):
                async with self._whereabouts.told(store):
                    await list_nothing(store, backend=self._key)

    async def _check_stored(self, path: str, content_type: str, content_disposition: str) -> None:
        attributes = (await self._get(path, {"head": True})).attributes
        if not is_stored_so(attributes, content_type=content_type, content_disposition=content_disposition):
            raise SigningUnavailableError(
                f"Backend {self._key!r} can't be held to type and disposition of {path!a} with its credentials, and "
                "the object was stored with others: serve it through the application (FILESTORE_SIGNING_KEYS and "
                "Filestore.signed_router()).",
                backend=self._key,
                key=path,
            )


def _checked_place(key: str, place: Place) -> Place:
    if any(leads_to_uploads(part) for part in place.below):
        raise ConfigurationError(
            f"Backend {key!r} would be below a folder {UPLOADS}, where clients store by upload URLs: choose another "
            "folder or prefix."
        )
    return place


def _open_folder(key: str, root: Path, connection: Connection) -> LocalFolder:
    keeps_folders = not connection.removes_folders
    durability = Durability(key, root, is_on=connection.is_durable, believes=keeps_folders)
    return LocalFolder(key, root, durability, keeps_folders=keeps_folders, modes=connection.modes)
