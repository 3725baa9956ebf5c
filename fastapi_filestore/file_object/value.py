"""Store, read, copy, sign and delete a file: each once asynchronous and once blocking."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from copy import copy
from dataclasses import replace
from typing import Literal, Self, TypedDict

from fastapi_filestore.concurrency.awaited import must_await
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.concurrency.shielded import finish, mark_left, may_be_left, tell_left
from fastapi_filestore.concurrency.turns import one_at_a_time
from fastapi_filestore.errors import (
    BlockingCallError,
    ObjectNotFoundError,
    PendingContentError,
    StorageError,
    UnsupportedContentError,
    UploadError,
)
from fastapi_filestore.events import OBJECT_MISSING
from fastapi_filestore.file_object.joined import JoinedFiles
from fastapi_filestore.file_object.open_file import OpenFile, refuse_in_loop
from fastapi_filestore.file_object.path_of_file import PathOfFile
from fastapi_filestore.file_object.recorded import RecordedFile
from fastapi_filestore.file_object.rule_checks import check_head, check_object, check_stream, check_upload
from fastapi_filestore.file_object.state import FileState
from fastapi_filestore.intake.digests import DigestingStream, misstored, sha256_of
from fastapi_filestore.intake.disposition import disposition_of, served_type
from fastapi_filestore.intake.folders import FOLDER
from fastapi_filestore.intake.rules import NO_RULES
from fastapi_filestore.intake.upload import Upload, chosen_content, stream_of
from fastapi_filestore.intake.validators import HEAD_BYTES
from fastapi_filestore.storage.backend import (
    Announcement,
    DurableObjects,
    Join,
    LocalObjects,
    ObjectInfo,
    ObjectStream,
    SignedURL,
    StorageBackend,
)
from fastapi_filestore.storage.content import BodyReader, Content, ContentReader
from fastapi_filestore.storage.fallbacks import copy_object
from fastapi_filestore.storage.paths import (
    can_be_held,
    folder_of,
    generate_once_path,
    generate_path,
    generate_upload_path,
    refuse_once_path,
    refuse_uploads,
    upload_expiry,
)


class _Declared(TypedDict):
    filename: str
    content_type: str


class FileObject(RecordedFile):
    """A file: its name and type, and where its bytes are.

    Attributes:
        backend: Key of the backend that holds the bytes; None until one is chosen.
        path: Path of the object; None until the bytes are stored or an upload URL is signed.
        filename: What the client called it, sanitised.
        content_type: Media type.
        metadata: Any text, kept in the row and, where the store can, with the object.
        size: Bytes.
        checksum: SHA-256 in hexadecimal digits.
        etag, last_modified, version_id: What the store says of the object.
        state: Where the bytes are.
        unreadable: The value of its row, if that can't be read as a file.
        custody: What its column, the ledger and whoever stores it have to do with it.
        prefix: The folder of its column, in which its path is generated.

    Two FileObjects are equal when backend and path are the same.
    """

    __slots__ = ()

    # -- storing -----------------------------------------------------------------------------------

    @must_await
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
            UploadError: It is not what its column asks for, or what its route did; nothing is left in the store.
            StorageError: The backend could not store it; nothing is left there.
        """
        async with self._storing(data) as pending:
            if pending is None:
                return self
            path, content = pending
            if isinstance(content.source, JoinedFiles):
                join = content.source.join_in(self.backend_in_use())
                if join is not None:
                    await self._join(join, content.source, path)
                    return self
            custody = self.custody  # whose rules may become those of a column meanwhile
            stream, size = stream_of(content)
            chunks = aiter(stream)  # refuses what somebody else reads, before a rule could judge what that leaves
            async with aclosing(stream):
                self._become(await check_stream(custody.rules, stream, size, self._filename, self._content_type))
                if custody.rules.max_size is not None:
                    chunks = custody.rules.limit_chunks(chunks, longest=size)
                body = BodyReader(chunks, size=size, is_piece=isinstance(content.source, DigestingStream))
                async with self._undoing(path, body):
                    info = await self.backend_in_use().put(
                        path,
                        body,
                        content_type=self._content_type,
                        content_disposition=disposition_of(self._filename, self._content_type),
                        metadata=self._metadata,
                        if_absent=path == self._path,
                        use_multipart=use_multipart,
                        chunk_size=chunk_size,
                        max_concurrency=max_concurrency,
                    )
            self._record(info)
            self.checksum, custody.fresh = stream.hexdigest, True
            if isinstance(stream, Upload) and stream.folder:  # which a field behind the file may have told
                dict.setdefault(self._metadata, FOLDER, stream.folder)
            async with self._discarding():
                if info.size != stream.size:
                    raise misstored(self.backend_in_use(), stream, info, filename=self.filename)
                await check_object(self, stream.rules if isinstance(stream, Upload) else NO_RULES, custody.rules)
            self.note_checked(custody.rules)
        return self

    async def _join(self, join: Join, parts: JoinedFiles, path: str) -> None:
        """Become what files of the same store are together; their bytes are read if their digest is not known."""
        self.custody.rules.check_size(parts.size)
        async with self._undoing(path):
            info = await join(parts.paths, path)
        self._record(info)
        self.custody.fresh = True
        async with self._discarding():
            if info.size != parts.size:
                raise StorageError(
                    f"{self.filename!r} has {info.size:,} bytes instead of {parts.size:,}: backend {self.backend!r} "
                    "lost some of what it was put together of.",
                    backend=self.backend,
                    path=path,
                )
            self.checksum = parts.checksum or await sha256_of(await self.open_async())
            await self.check_async()

    @asynccontextmanager
    async def _storing(self, data: Content | None) -> AsyncIterator[tuple[str, ContentReader] | None]:
        """Give the block content to store and a path, the file's own or else a fresh one; None if it is stored."""
        async with one_at_a_time(self.custody):
            if data is not None:
                if self.is_stored:
                    raise UnsupportedContentError(
                        f"{self.filename!r} is stored already, and stored bytes never change: make a new FileObject."
                    )
                self._refuse_gone()
                self._content, self.state = chosen_content(data), FileState.PENDING
            if self.is_stored:
                yield None
                return
            if self._chosen_path is not None:
                refuse_once_path(self._chosen_path)
            # What the application stores itself goes where no client has a signature for.
            own_path = self._path if self._path is not None and not upload_expiry(self._path) else None
            path = own_path or self.custody.reserved_path or generate_path(self.prefix)
            self.custody.reserved_path = None if own_path else path
            content = self._content
            try:
                self._refuse_gone()
                if content is None:
                    raise PendingContentError(
                        f"{self.filename!r} can't be stored: it has no content. Pass content= to FileObject, or data "
                        "to save; path= if it is stored already, for a filename names no stored object."
                    )
                yield path, content
            except UploadError as error:
                if content is not None and isinstance(content.source, Upload):
                    error.locate(content.source.place)
                raise
            finally:
                self.custody.reserved_path = None

    @asynccontextmanager
    async def _undoing(self, path: str, body: BodyReader | None = None) -> AsyncIterator[None]:
        """Delete what may be at a path if the block fails to store it there, and nobody else can have used the path.

        What fails because the body does, as one that is refused, was not stored: no request is spent on it.
        """
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:  # the store may have it all the same
            is_of_body = body is not None and error is body.failure
            # Where nothing could be called at all, nothing was, and can't be now.
            if path != self._path and not is_of_body and not isinstance(error, BlockingCallError):
                backend = self.backend_in_use()
                try:
                    await finish(backend.delete(path))
                except Exception:  # noqa: BLE001 - the first error is the news
                    if not may_be_left(error):
                        tell_left(error, backend.key, path)
                mark_left(error)  # a class of somebody else's may go on storing behind its error
            raise

    @asynccontextmanager
    async def _discarding(self) -> AsyncIterator[None]:
        """Delete the bytes that were just stored if the block refuses them."""
        try:
            yield
        except BaseException:
            with suppress(Exception):
                await finish(self.delete_async())
            self.undo()
            raise

    @property
    def _declared(self) -> _Declared:
        return {"filename": self._filename, "content_type": self._content_type}

    def _become(self, content_type: str) -> None:
        if content_type != self._content_type:
            self.content_type = content_type

    def _refuse_gone(self) -> None:
        self.refuse_unreadable()
        if self.state is FileState.GONE:
            raise PendingContentError(f"{self.filename!r} can't be stored: {self.state.value}. Make a new FileObject.")

    @property
    def is_arriving(self) -> bool:
        """Tell whether the content comes from somebody who may be slow to send it: a client, above all."""
        return self._content is not None and isinstance(self._content.source, AsyncIterable)

    def backend_in_use(self) -> StorageBackend:
        """Return the backend that holds, or will hold, the bytes."""
        backend = self._registry.get_backend(self._backend)
        self._backend = backend.key
        return backend

    def _record(self, info: ObjectInfo) -> None:
        self._path, self.size, self.etag = info.path, info.size, info.etag
        self.last_modified, self.version_id = info.last_modified, info.version_id
        self.state = FileState.STORED

    @must_await
    async def confirm_async(self) -> Self:
        """Fill in what the store says of bytes that somebody else stored; store own content.

        The bytes outlast a power cut then, and a row may point to them. What a client stored with an upload URL it may
        overwrite: it is copied to a path of its own, the file's from then on, and judged there. What it stored with a
        URL that writes once is judged where it lies. A stored file that an upload URL was signed for becomes what was
        stored by that; the row that holds it is written with its session's next flush.

        Raises:
            ObjectNotFoundError: Nobody stored them.
            UploadError: They are not what the column asks for, or more than the URL was signed for; no copy is left.
        """
        if self.custody.copied_from is not None:
            async with one_at_a_time(self.custody):
                if not self.is_stored:
                    async with self._copying(self.custody.copied_from):
                        pass  # it is judged as any other
            return self
        if self._staged is not None:
            async with one_at_a_time(self.custody):
                if self._staged is not None:
                    await self._become_staged(self._staged)
            return self
        if self.is_upload:
            async with one_at_a_time(self.custody):
                if self.is_upload:
                    await self._promote(str(self.path))
            return self
        if self.state is FileState.RESERVED and self.path is not None and self._content is None:
            refuse_uploads(self.path)
            backend = self.backend_in_use()
            if isinstance(backend, DurableObjects):
                await backend.make_durable(self.path)
            if self.is_stored_once:
                return await self._adopt(self.path)
        return await self.look_async()

    async def _adopt(self, path: str) -> Self:
        """Take what a client stored by a URL that writes once where it lies, if it is what the column takes."""
        limits, info = (self.upload_limit, self.registry.max_upload_size), await self.backend_in_use().head(path)
        await check_upload(self.custody.rules, info, limits=limits, **self._declared)
        self._record(info)
        try:
            await self.check_async()
        except BaseException:
            self.state = FileState.RESERVED
            raise
        return self

    async def _become_staged(self, staged: str) -> None:
        """Become what a client stored by an upload URL that was signed for the file when it was stored already."""
        unit, before = self.custody.unit, self._path
        if unit is not None and unit() is not None:
            raise PendingContentError(
                f"{self.filename!r} can't become what a client stored: its session is about to write it to a row. "
                "Commit that, and confirm it then."
            )
        twin = copy(self)
        twin.become_new(staged)
        twin.checksum = None  # of other bytes
        twin.custody.checked_by, twin.custody.is_listed = None, self.custody.is_listed
        await twin.confirm_async()
        was_fresh = self.custody.fresh
        self.take_over(twin)
        if was_fresh and before is not None:  # no row ever had it
            with suppress(Exception):
                await self.backend_in_use().delete(before)

    async def _promote(self, upload: str) -> None:
        """Copy what a client stored to a path that nobody has a signature for, and judge the copy."""
        limits, custody = (self.upload_limit, self.registry.max_upload_size), self.custody
        try:
            info = await self.backend_in_use().head(upload)
            await check_upload(custody.rules, info, limits=limits, **self._declared)
            async with self._copying(upload) as copied:
                self._chosen_path, self._upload = None, upload
                await check_upload(custody.rules, copied, limits=limits, **self._declared)
        finally:
            custody.reserved_path = None

    @asynccontextmanager
    async def _copying(self, source: str) -> AsyncIterator[ObjectInfo]:
        """Copy an object inside the store to a fresh path, the file's from then on; what the block refuses goes."""
        backend, custody = self.backend_in_use(), self.custody
        path = custody.reserved_path = custody.reserved_path or generate_path(self.prefix)
        try:
            async with self._undoing(path):
                await copy_object(backend, source, path)
                copied = await backend.head(path)
            self._record(copied)
            custody.fresh = True
            async with self._discarding():
                yield copied
                await self.check_async()
        finally:
            custody.reserved_path = None

    def plan_copy(self) -> Self:
        """Return a file that becomes a copy of this one, made inside the store, once it is stored for a column."""
        twin = type(self)(
            self.backend_in_use(),
            self.filename,
            content_type=self.content_type,
            metadata=self.metadata,
            registry=self.registry,
        )
        twin.custody.copied_from, twin.state = self.path, FileState.RESERVED
        return twin

    @must_await
    async def look_async(self) -> Self:
        """Do as `confirm_async` does, for those who only read: no row may point to the bytes yet.

        Raises:
            ObjectNotFoundError: Nobody stored them.
        """
        if self.state is FileState.RESERVED and self.path is not None:
            if self._content is not None:
                return await self.save_async()
            self._record(await self.backend_in_use().head(self.path))
        return self

    @must_await
    async def check_async(self) -> Self:
        """Check bytes that were stored before against the rules of its column; do nothing if they were.

        Raises:
            UploadError: It is not what the column asks for.
        """
        if not self.is_stored or self.is_checked:
            return self
        info = await self.head_async()
        self.custody.rules.check_size(info.size)
        head = None
        if self.custody.rules.validators:  # a store has no range of an empty object
            head = await (await self.open_async(end=HEAD_BYTES)).read() if info.size else b""
        self._become(await check_head(self.custody.rules, head, **self._declared))
        await check_object(self, self.custody.rules)
        self.note_checked(self.custody.rules)
        return self

    @must_await
    async def copy_async(self) -> Self:
        """Return a new file with the same bytes at a path of its own, copied inside the store to the same folder."""
        with self._reading("copied") as source:
            twin = copy(self)
            twin.become_new(path := generate_path(folder_of(source)))
            async with self._undoing(path):
                await copy_object(self.backend_in_use(), source, path)
        async with self._undoing(path):
            await twin.look_async()
        return twin

    @must_await
    async def delete_async(self) -> None:
        """Delete the bytes; it is fine if they are missing. One with content to store has none yet, and keeps that.

        Raises:
            PendingContentError: It has neither content nor a path, so nothing says what to delete.
        """
        self.refuse_unreadable()
        if self.state is FileState.PENDING:
            if self._content is None:
                raise self._not_stored("deleted")
            return
        if self.path is not None and can_be_held(self.path):
            await self.backend_in_use().delete(self.path)
        self.state, self.custody.fresh = FileState.GONE, False

    # -- reading -----------------------------------------------------------------------------------

    @must_await
    async def open_async(self, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Open the bytes, or those from `start` up to but without `end`, for streaming."""
        with self._reading() as path:
            return await self.backend_in_use().open(path, start=start, end=end)

    def open(self) -> OpenFile:
        """Open the stored bytes as a binary file that seeks, for programs that read files: `zipfile`, Pillow, pandas.

        It reads by ranges of 1 MiB, as they are needed, and asks for nothing before. Its blocking reads would stop an
        event loop: there, call it inside `asyncio.to_thread`, or use `as_path` or `open_async`.

        Raises:
            PendingContentError: It is not stored yet.
            BlockingCallError: An event loop runs in this thread.
        """
        refuse_in_loop("`file.open()`")
        with self._reading("opened"):
            opened = copy(self)
        size = self.head().size if self.size is None else self.size  # which tells a missing object by itself
        return OpenFile(self.filename, size, lambda start, end: opened.open_async(start=start, end=end))

    def as_path(self, *, read_only: bool = False) -> PathOfFile:
        """Return a context whose value is the path of a file with the bytes, for programs such as ffmpeg.

        `async with file.as_path() as path` (or `with`, outside of an event loop) has a temporary copy, which goes at
        the end of the block. With `read_only`, whoever reads promises to change nothing, and on local disk the path is
        that of the object itself.
        """
        with self._reading() as path:
            backend = self.backend_in_use()
        folder = backend.folder if read_only and isinstance(backend, LocalObjects) else None
        return PathOfFile(self.filename, None if folder is None else folder / path, copy(self).open_async)

    @must_await
    async def get_content_async(self) -> bytes:
        """Return all of the bytes."""
        return await (await self.open_async()).read()

    @must_await
    async def head_async(self) -> ObjectInfo:
        """Return what the store says of the object now."""
        with self._reading() as path:
            return await self.backend_in_use().head(path)

    @contextmanager
    def _reading(self, purpose: str = "read", *, is_told: bool = True) -> Iterator[str]:
        """Give the path of the stored object, and log that the object is missing if a committed row holds it."""
        self.refuse_unreadable()
        if self._path is None or self.state is FileState.PENDING:
            raise self._not_stored(purpose)
        # A file that only its path or a record names is perhaps in no row; a fresh one is in none yet.
        is_of_row = self.is_stored and self.custody.is_held and not self.custody.fresh
        try:
            if self.is_stored and not can_be_held(self._path):
                raise ObjectNotFoundError(  # noqa: TRY301 - told as if the store had said so
                    f"The object {self._path!a} can't be there: no store holds an object of such a name.",
                    backend=self._backend,
                    path=self._path,
                )
            yield self._path
        except ObjectNotFoundError:
            if is_told and is_of_row:
                OBJECT_MISSING.tell(backend=self.backend, object=self.path, file=self.filename)
            raise

    # -- signing -----------------------------------------------------------------------------------

    @must_await
    async def signed_url_async(
        self,
        *,
        expires_in: int | None = None,
        method: Literal["GET", "PUT"] = "GET",
        max_size: int | None = None,
        once: Announcement | None = None,
    ) -> SignedURL:
        """Sign a URL for `expires_in` seconds; the answer holds the headers that the client must send with it.

        It lives for FILESTORE_URL_EXPIRY seconds if that is None.

        What a client stores goes to a path below `.filestore-uploads`, and comes into a row as a copy. One of more than
        `max_size` bytes is refused by a URL of the application's; a store's own takes it, and `confirm_async` or the
        column refuses it. If the file is stored already, `confirm_async` makes it what the client stored.

        With `once`, which says what the client announced, the URL stores that once, where a row can take it without a
        copy, if the store has such URLs and heeds them; else it is as without.

        A download is of the file's type and disposition, whatever is stored with the object.

        Raises:
            PendingContentError: To download a file that is not stored, or to upload to one that was deleted.
            ConfigurationError: To upload to a path of one's own.
            SigningUnavailableError: The backend can't sign, or can't be held to the type and disposition of a download,
                and no signing key is configured.
        """
        seconds = self._registry.url_seconds if expires_in is None else expires_in
        if method == "PUT":
            self.refuse_unreadable()
            if self.state is FileState.GONE:
                raise PendingContentError(f"{self.filename!r} can't be uploaded to: {self.state.value}.")
            signed = None if once is None else await self._sign_once(seconds, once)
            if signed is None:
                signed = await self._sign_staging(seconds, max_size)
            self.upload_limit = max_size
            return signed
        with self._reading("signed", is_told=False) as path:
            return await self._registry.sign_download(
                self.backend_in_use().key,
                path,
                expires_in=seconds,
                content_type=served_type(self.content_type),
                content_disposition=disposition_of(self.filename, self.content_type),
                filename=self.filename,
            )

    async def _sign_once(self, seconds: int, announced: Announcement) -> SignedURL | None:
        """Sign an upload URL that writes once, for a fresh path; None where that can't be."""
        if self.is_stored or self.has_own_path:
            return None
        key, path = self.backend_in_use().key, generate_once_path(self.prefix, seconds)
        told = replace(announced, content_type=announced.content_type or self.content_type)
        signed = await self._registry.sign_once(key, path, expires_in=seconds, announced=told)
        if signed is not None:
            self._path, self.state = path, FileState.RESERVED
        return signed

    async def _sign_staging(self, seconds: int, max_size: int | None) -> SignedURL:
        """Sign an upload URL for a path that what was stored is copied from: the file's, unless it is stored there."""
        is_taken = self.is_stored or (self.is_stored_once and not self.has_own_path)
        path = (self._staged if is_taken else self.path) or generate_upload_path(seconds)
        signed = await self._registry.sign(
            self.backend_in_use().key,
            path,
            method="PUT",
            expires_in=seconds,
            content_type=self.content_type,
            filename=self.filename,
            max_size=max_size,
        )
        if self.is_stored:
            self._staged = path
        else:
            self._path, self.state = path, FileState.RESERVED
        return signed

    @must_await
    async def sign_async(self, *, expires_in: int | None = None, for_upload: bool = False) -> str:
        """Sign a URL to download the file or, with `for_upload`, to store it.

        `expires_in` is in seconds; it lives for FILESTORE_URL_EXPIRY if that is None.
        """
        return (await self.signed_url_async(expires_in=expires_in, method="PUT" if for_upload else "GET")).url

    @property
    def public_url(self) -> str | None:
        """URL where anybody may fetch it without a signature, if its backend has a public address; else None."""
        return self._registry.public_url(self._backend, self._path) if self._path and self.is_stored else None

    @property
    def url(self) -> str | None:
        """URL where a client may fetch it: what was set, else its public address, else a signed URL of the application.

        None if it has none of these. A router sets its own route, unless the file has a public address.
        """
        if self._url is None and (public := self.public_url) is not None:
            return public
        if self._url is None and self._registry.signer and self.backend and self.path and self.is_stored:
            return self._registry.signer.sign(
                self.backend,
                self.path,
                method="GET",
                expires_in=self._registry.url_seconds,
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

    def confirm(self) -> Self:
        """Do what `confirm_async` does, blocking."""
        return run_blocking(self.confirm_async())

    def copy(self) -> Self:
        """Do what `copy_async` does, blocking."""
        return run_blocking(self.copy_async())

    def head(self) -> ObjectInfo:
        """Do what `head_async` does, blocking."""
        return run_blocking(self.head_async())

    def get_content(self) -> bytes:
        """Do what `get_content_async` does, blocking."""
        return run_blocking(self.get_content_async())

    def signed_url(
        self,
        *,
        expires_in: int | None = None,
        method: Literal["GET", "PUT"] = "GET",
        max_size: int | None = None,
        once: Announcement | None = None,
    ) -> SignedURL:
        """Do what `signed_url_async` does, blocking."""
        return run_blocking(self.signed_url_async(expires_in=expires_in, method=method, max_size=max_size, once=once))

    def sign(self, *, expires_in: int | None = None, for_upload: bool = False) -> str:
        """Do what `sign_async` does, blocking."""
        return run_blocking(self.sign_async(expires_in=expires_in, for_upload=for_upload))

    def delete(self) -> None:
        """Do what `delete_async` does, blocking."""
        run_blocking(self.delete_async())
