"""Do what a backend is asked for in a store behind a network, or in memory."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Literal

import obstore
from obstore.store import S3Store

from fastapi_filestore.errors import (
    ConfigurationError,
    InvalidKeyError,
    ObjectNotFoundError,
    RangeNotSatisfiableError,
    SigningUnavailableError,
    StorageError,
    StoragePermissionError,
)
from fastapi_filestore.events import UNFINISHED_UPLOADS_UNSEEN
from fastapi_filestore.storage.backend import (
    Announcement,
    Answer,
    ObjectInfo,
    ObjectStream,
    SignedURL,
    Stored,
    UnfinishedUpload,
    bad_range,
    empty_chunks,
)
from fastapi_filestore.storage.content import BodyReader, ContentReader, read_content
from fastapi_filestore.storage.failures.reasons import NEVER_STORED, NO_ETAG_WORDS
from fastapi_filestore.storage.failures.translate import explain_anew, translating
from fastapi_filestore.storage.obstore.client_parts import S3ClientParts
from fastapi_filestore.storage.obstore.moving.long_copy import COPY_LIMIT, copy_through, copy_within
from fastapi_filestore.storage.obstore.moving.metadata import attributes_for
from fastapi_filestore.storage.obstore.moving.parts import PartPlan, plan_parts
from fastapi_filestore.storage.obstore.moving.put import PutRequest
from fastapi_filestore.storage.obstore.moving.reading import info_of, info_of_listed, range_options, resume_reading
from fastapi_filestore.storage.obstore.moving.unfinished import (
    abort_in_bucket,
    abort_uploads_to,
    has_rule_for_unfinished,
    uploads_in_bucket,
)
from fastapi_filestore.storage.obstore.opening.address import s3_region
from fastapi_filestore.storage.obstore.opening.region import Whereabouts
from fastapi_filestore.storage.obstore.opening.store_url import Kind
from fastapi_filestore.storage.obstore.opening.stores import Connection
from fastapi_filestore.storage.obstore.process import Lifetime
from fastapi_filestore.storage.obstore.signing import bind_answer, is_stored_as_safely, sign_url
from fastapi_filestore.storage.obstore.write_once import OnceSigner
from fastapi_filestore.storage.paths import check_held_path, generate_path, generate_upload_path

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

DELETIONS = 10
"""Requests at once that delete one object each."""
LIST_PAGE = 1000
"""Objects that are asked for at once."""
PROBE = b"filestore-probe"
"""What an object holds that a probe stores, and deletes at once."""


class StoreDriver:
    """Does what a backend is asked for by obstore."""

    has_links, root, join = False, None, None

    def __init__(self, lifetime: Lifetime, connection: Connection) -> None:
        """Use the store of a connection while the backend lives."""
        self._lifetime, self._backend = lifetime, lifetime.backend
        self._connection = connection
        self._kind: Kind = connection.store_url.kind
        self._once = OnceSigner(lifetime.backend, connection)
        self._whereabouts = Whereabouts(lifetime.backend, str(connection.store_url))

    def obstacle_to_others(self) -> str | None:
        """Return None: no program reads files of it."""
        return None

    async def put(
        self, path: str, reader: ContentReader, attributes: Mapping[str, str] | None, plan: PartPlan, *, if_absent: bool
    ) -> Stored:
        """Store content by one request, or in parts."""
        is_piece = isinstance(reader, BodyReader) and reader.is_piece
        request = PutRequest(self._connection, self._backend, path, attributes, plan, if_absent, reader.size, is_piece)
        async with self._whereabouts.adding_facts(self._connection.store):
            try:
                return await request.run(reader.chunks())
            except StorageError as error:
                # Without it, a proxy may have dropped it, or the answer held an error: the store knows which.
                if error.cause != NO_ETAG_WORDS:
                    raise
                try:
                    await self.head(path)
                except ObjectNotFoundError:
                    # S3 finds out once it has begun to answer with 200, too: what the answer says then, nobody tells.
                    raise explain_anew(error, NEVER_STORED, cause="") from None
                except StorageError:
                    pass
                raise

    async def open(self, path: str, start: int, end: int | None) -> ObjectStream:
        """Open an object, or a range of it that is not empty."""
        try:
            result = await self._get(path, range_options(start, end))
        except RangeNotSatisfiableError:
            info = await self.head(path)
            if start > 0:
                raise bad_range(self._backend, path, start, size=info.size) from None
            return ObjectStream(info, start, start, empty_chunks())
        first, last = result.range
        chunks = resume_reading(partial(self._get, path), result, backend=self._backend, path=path)
        return ObjectStream(info_of(path, result), first, last, chunks)

    async def head(self, path: str) -> ObjectInfo:
        """Return what the store knows of an object."""
        try:
            return info_of(path, await self._get(path, {"head": True}))
        except ObjectNotFoundError:
            # The answer to HEAD has no body that could tell a missing bucket from a missing object.
            if self._kind != "memory":
                with suppress(StoragePermissionError):
                    async with self._whereabouts.adding_facts(self._connection.store):
                        await self._list_nothing()
            raise

    async def copy(self, source: str, target: str) -> None:
        """Have the store copy an object, or read and store it where it can't."""
        connection, kind = self._connection, self._kind
        if kind == "az" or (kind == "s3" and (await self.head(source)).size > COPY_LIMIT):
            await copy_through(self._get, connection, kind=kind, backend=self._backend, source=source, target=target)
        else:
            async with self._whereabouts.adding_facts(connection.store):
                await copy_within(connection, source, target, backend=self._backend)

    async def make_durable(self, path: str) -> None:
        """Do nothing: what a store has confirmed is there to stay."""

    async def delete(self, paths: Sequence[str]) -> None:
        """Delete objects, a bounded number at a time; the first failure is raised when the others have ended."""
        store, remaining = self._connection.store, iter(paths)

        async def delete_remaining() -> None:
            for path in remaining:
                # Invalid: a name that can't be there.
                with suppress(ObjectNotFoundError, InvalidKeyError), translating(self._backend, path):
                    await obstore.delete_async(store, path)

        async with self._whereabouts.adding_facts(store):
            if self._kind == "s3":
                # One request for up to 1,000, and S3 does not mind missing ones. The others stop at the first that is.
                with translating(self._backend, paths[0] if len(paths) == 1 else None):
                    await obstore.delete_async(store, list(paths))
                return
            workers = (delete_remaining() for _ in range(min(DELETIONS, len(paths))))
            for result in await asyncio.gather(*workers, return_exceptions=True):
                if result is not None:
                    raise result

    async def list(self, below: str, after: str | None) -> AsyncIterator[ObjectInfo]:
        """Iterate the objects below a prefix."""
        store = self._connection.store
        async with self._whereabouts.adding_facts(store):
            with translating(self._backend):
                async for page in obstore.list(store, below or None, offset=after, chunk_size=LIST_PAGE):
                    for meta in page:
                        # Not every server that speaks a store's protocol heeds the offset.
                        if after is None or meta["path"] > after:
                            yield info_of_listed(meta)

    async def listed_as(self, paths: Sequence[str]) -> Sequence[str]:
        """Return the paths: no links lead anywhere."""
        return [*paths]

    async def sign(
        self, path: str, *, method: Literal["GET", "PUT"], expires_in: int, content_type: str | None
    ) -> SignedURL:
        """Presign a URL for the host that browsers reach."""
        store = self._connection.signing or self._connection.store
        return await sign_url(
            store, path, backend=self._backend, method=method, expires_in=expires_in, content_type=content_type
        )

    async def sign_once(self, path: str, *, expires_in: int, announced: Announcement) -> SignedURL:
        """Presign an upload URL that stores what was announced, once, if the store was seen to heed that."""
        return await self._once.sign(path, expires_in=expires_in, announced=announced)

    @property
    def client_parts(self) -> S3ClientParts | None:
        """What S3 does for clients that store in parts; None of another store."""
        store, signing = self._connection.store, self._connection.signing
        if not isinstance(store, S3Store):
            return None
        return S3ClientParts(self._lifetime, store, signing if isinstance(signing, S3Store) else store)

    async def sign_download(
        self, path: str, *, expires_in: int, content_type: str, content_disposition: str, for_proxy: bool
    ) -> SignedURL:
        """Presign a URL whose answer is of this type and disposition, by its signature or as the object was stored."""
        store = self._connection.store if for_proxy else self._connection.signing or self._connection.store
        signed = await sign_url(
            store, path, backend=self._backend, method="GET", expires_in=expires_in, content_type=None
        )
        bound = await bind_answer(
            store, path, signed, content_type=content_type, content_disposition=content_disposition
        )
        if bound is not None:
            return bound
        attributes = (await self._get(path, {"head": True})).attributes
        if not is_stored_as_safely(attributes, content_type=content_type, content_disposition=content_disposition):
            raise SigningUnavailableError(
                f"Backend {self._backend!r} can't be held to type and disposition of {path!a} with its credentials, "
                "and the object was stored with others: serve it through the application (FILESTORE_SIGNING_KEYS and "
                "Filestore.signed_router()).",
                backend=self._backend,
                path=path,
            )
        return signed

    async def probe(self, *, write: bool) -> None:
        """Raise the fitting error if listing and reading both fail, or if nothing can be stored as uploads are."""
        if self._kind == "memory":
            return
        async with self._whereabouts.adding_facts(self._connection.store):
            try:
                await self._list_nothing()
            except StoragePermissionError as refused:
                # Credentials may read without being allowed to list.
                try:
                    with translating(self._backend):
                        await obstore.head_async(self._connection.store, generate_path())
                except ObjectNotFoundError:
                    pass
                except StorageError:  # the answer to a HEAD says less
                    raise refused from None
        if write:
            path = generate_upload_path(0)
            with translating(self._backend, path):
                attributes = attributes_for(self._kind)
            plan = plan_parts(self._kind, size=len(PROBE))
            await self.put(path, read_content(PROBE), attributes, plan, if_absent=True)
            await self.delete([path])

    async def ask(self, signed: SignedURL | None, content: bytes | None) -> Answer | None:
        """Use a signed URL, or ask for the bucket as a stranger; None in memory."""
        # It needs more of Python than applications do, and only checks ask.
        from fastapi_filestore.storage.obstore.opening.asking import ask_store  # noqa: PLC0415 - the same

        return await ask_store(self._connection.store, self._connection.store_url.bucket, signed, content)

    @property
    def region(self) -> str | None:
        """The region that requests are signed for."""
        store = self._connection.store
        return s3_region(store) if isinstance(store, S3Store) else None

    async def drops_unfinished(self) -> bool:
        """Tell whether S3 has a rule that drops them; the others do so by themselves."""
        store = self._connection.store
        return await has_rule_for_unfinished(store, self._backend) if isinstance(store, S3Store) else True

    async def unfinished_uploads(self) -> AsyncIterator[UnfinishedUpload]:
        """Iterate the unfinished uploads of S3; the others drop them by themselves."""
        store = self._connection.store
        if isinstance(store, S3Store):
            async for upload in uploads_in_bucket(store, self._backend):
                yield upload

    async def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Drop the parts of an upload."""
        if isinstance(self._connection.store, S3Store):
            await abort_in_bucket(self._connection.store, upload, self._backend)

    async def drop_unfinished(self, paths: Collection[str]) -> None:
        """Drop what unfinished uploads to some paths left.

        What S3 lets nobody see is left: it is told once in the log, and there are lifecycle rules for it.
        """
        if isinstance(self._connection.store, S3Store):
            try:
                await abort_uploads_to(self._connection.store, frozenset(paths), self._backend)
            except ConfigurationError:  # without boto3
                return
            except StoragePermissionError as error:
                UNFINISHED_UPLOADS_UNSEEN.tell(error, backend=self._backend)

    async def remains_of(self, paths: Collection[str]) -> Mapping[str, Collection[str]]:
        """Return nothing: only files of a folder have names while they are unfinished."""
        return {}

    def close(self) -> None:
        """Let go of the store, and with it of connections and credentials."""
        del self._connection, self._once

    async def _get(self, path: str, options: "GetOptions | None") -> "GetResult":
        self._lifetime.check()  # an object may be read on long after it was opened
        store = self._connection.store
        check_held_path(path)
        try:
            async with self._whereabouts.adding_facts(store):
                with translating(self._backend, path):
                    return await obstore.get_async(store, path, options=options)
        except InvalidKeyError as exc:
            # A name that a store can't hold is a name that it does not hold.
            raise ObjectNotFoundError(str(exc), backend=self._backend, path=path) from None

    async def _list_nothing(self) -> None:
        """List below a prefix that does not exist: the cheapest request whose answer names a missing bucket."""
        with translating(self._backend):
            async for _ in obstore.list(self._connection.store, generate_path(), chunk_size=1):
                return
