"""One upload: bounded memory, and nothing left behind when it fails or is cancelled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import obstore
from anyio import CancelScope

from fastapi_filestore.errors import StorageError
from fastapi_filestore.storage.budget import Share, upload_memory
from fastapi_filestore.storage.cleanup import tell_left
from fastapi_filestore.storage.content import WORTHWHILE, joined
from fastapi_filestore.storage.obstore.errors import translated
from fastapi_filestore.storage.obstore.parts import PartPlan
from fastapi_filestore.storage.obstore.stores import Store

if TYPE_CHECKING:
    from obstore import PutResult

PIECE = 256 * 1024
"""Bytes handed to obstore at once: as many as servers read at once, so that they are seldom copied."""
BIG_PIECE = 512 * 1024
"""The same where memory allows for it: the way over the event loop costs more than a copy."""

PROBE = 1024
"""Bytes of a part that are handed over first: more are asked for only when the part before has arrived."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of content once it is stored; the size is counted."""

    size: int
    etag: str | None
    version_id: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """Where content goes and how; run it with the content's chunks."""

    store: Store
    backend: str
    path: str
    attributes: Mapping[str, str] | None
    plan: PartPlan
    if_absent: bool
    share: Share | None = None

    async def run(self, chunks: AsyncIterator[bytes]) -> Stored:
        """Store the chunks; an error of theirs is raised as it is."""
        async with aclosing(joined(chunks, WORTHWHILE)) as pieces:
            start = await _first_of(pieces)
            if self.plan.in_flight is None or sum(map(len, start)) < WORTHWHILE:
                return await self.send(start, joined(pieces, PIECE))
            # Only now, so that a client whose bytes are not there yet takes no share, and who waits holds little.
            async with upload_memory.share(least=self.plan.least, most=self.plan.in_flight) as share:
                planned = replace(self, plan=self.plan.within(share.size), share=share)
                return await planned.send(start, joined(pieces, BIG_PIECE if planned.plan.concurrency > 1 else PIECE))

    async def send(self, start: list[bytes], rest: AsyncIterator[bytes]) -> Stored:
        """Store chunks that were read already and the rest, as planned."""
        head, complete = await take(rest, self.plan.single_limit, start)
        return await self.send_whole(head) if complete else await self._put_parts(head, rest)

    async def send_whole(self, chunks: list[bytes]) -> Stored:
        """Store chunks as one request."""
        body = b"".join(chunks)
        return _stored(len(body), await self._put_single(body))

    async def _put_single(self, body: bytes) -> "PutResult":
        future = self._request(body, create=self.if_absent, parts=False)
        try:
            with translated(self.backend, self.path):
                return await asyncio.shield(future)
        except asyncio.CancelledError as error:
            # A request half-way may still arrive: only its end says whether there is something to undo.
            if await _finish(future) and not await self._undo():
                tell_left(error, self.backend, self.path)
            raise

    async def _put_parts(self, head: list[bytes], rest: AsyncIterator[bytes]) -> Stored:
        if self.if_absent:
            # A multipart upload overwrites what it finds, so an empty object takes the key first.
            await self._put_single(b"")
        # With several parts on their way at once, nobody can tell when all are done.
        gives_way = self.share is not None and self.plan.concurrency == 1
        handoff = Handoff(self.plan.size, between=self.share.give_way if gives_way and self.share else None)
        future = self._request(handoff, create=False, parts=True)
        future.add_done_callback(handoff.release)
        try:
            size = await handoff.feed(head, rest)
            with translated(self.backend, self.path):
                return _stored(size, await asyncio.shield(future))
        except BaseException as error:
            handoff.abort()
            await _finish(future)
            # What the store itself failed at, it may have: that needs no telling.
            is_undone = isinstance(error, StorageError) or _failed_as(future, UploadAbortedError)
            if not (await self._undo() and is_undone):
                tell_left(error, self.backend, self.path)
            raise

    def _request(self, body: "bytes | Handoff", *, create: bool, parts: bool) -> "asyncio.Future[PutResult]":
        request = obstore.put_async(
            self.store,
            self.path,
            body,
            attributes=dict(self.attributes) if self.attributes else None,
            mode="create" if create else "overwrite",
            use_multipart=parts,
            chunk_size=self.plan.size,
            max_concurrency=self.plan.concurrency,
        )
        return asyncio.ensure_future(request)

    async def _undo(self) -> bool:
        """Delete what is at a key that was free before, and say whether nothing is there any more."""
        if not self.if_absent:
            # The key may have held an object before: the new one there is better than none.
            return True
        future = asyncio.ensure_future(obstore.delete_async(self.store, self.path))
        return await _finish(future) or _failed_as(future, FileNotFoundError)


class UploadAbortedError(Exception):
    """Raised into obstore, which then aborts a multipart upload; dropping the upload would leave its parts."""


class Handoff:
    """Passes chunks from the caller's task, which reads the content, to obstore, which pulls them as it sends."""

    def __init__(self, part: int, *, between: Callable[[], Awaitable[None]] | None = None) -> None:
        """Pass on chunks of which obstore makes parts of so many bytes.

        With `between`, each part has arrived before the next one is begun, and `between` is awaited before it is.
        """
        self._part, self._between = part, between
        self._slot: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._hungry = asyncio.Event()
        self._aborted = self._released = False

    async def feed(self, head: list[bytes], rest: AsyncIterator[bytes]) -> int:
        """Pass all chunks on, as long as somebody pulls, and return their size in bytes."""
        size = 0
        while head:
            size = await self._pass_after(size, head.pop(0))
        async for chunk in rest:
            if self._released:
                break
            size = await self._pass_after(size, chunk)
        await self._pass(None)
        return size

    def abort(self) -> None:
        """Make whoever pulls fail at once."""
        self._aborted = True
        self._empty()
        self._slot.put_nowait(None)

    def release(self, _: object = None) -> None:
        """Let `feed` go on without anybody who pulls."""
        self._released = True
        self._hungry.set()
        self._empty()

    async def _pass_after(self, size: int, chunk: bytes) -> int:
        """Pass a chunk after so many bytes, and return the bytes passed in all."""
        room = -size % self._part if size else self._part  # 0 where a part has just been filled
        if self._between is None or len(chunk) <= room:
            await self._pass(chunk)
            return size + len(chunk)
        begun = room + PROBE
        await self._pass(chunk[:room])
        await self._pass(chunk[room:begun])
        await self._pulled()
        await self._between()
        return await self._pass_after(size + len(chunk[:begun]), chunk[begun:])

    async def _pass(self, chunk: bytes | None) -> None:
        # Who waits here when the upload ends is let go by the emptying, and must not wait again.
        if not self._released and chunk != b"":
            await self._slot.put(chunk)

    async def _pulled(self) -> None:
        """Wait until all that was passed has been pulled, and more is asked for."""
        while not (self._released or (self._slot.empty() and self._hungry.is_set())):
            self._hungry.clear()
            await self._hungry.wait()

    def _empty(self) -> None:
        while not self._slot.empty():
            self._slot.get_nowait()

    def __aiter__(self) -> "Handoff":
        return self

    async def __anext__(self) -> bytes:
        self._hungry.set()
        chunk = await self._slot.get()
        self._hungry.clear()
        if self._aborted:
            raise UploadAbortedError
        if chunk is None:
            raise StopAsyncIteration
        return chunk


async def _first_of(chunks: AsyncIterator[bytes]) -> list[bytes]:
    async for chunk in chunks:
        return [chunk]
    return []


async def take(chunks: AsyncIterator[bytes], limit: int | None, taken: list[bytes]) -> tuple[list[bytes], bool]:
    """Take chunks, beside those taken already, until they are more than a limit, and say whether that was all."""
    size = sum(map(len, taken))
    if limit is not None and size > limit:
        return taken, False
    async for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if limit is not None and size > limit:
            return taken, False
    return taken, True


async def _finish(future: "asyncio.Future[Any]") -> bool:
    """Wait for a request's end, whoever cancels meanwhile, and say whether it succeeded."""
    with CancelScope(shield=True):
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                continue
    return not future.cancelled() and future.exception() is None


def _failed_as(future: "asyncio.Future[Any]", kind: type[Exception]) -> bool:
    return not future.cancelled() and isinstance(future.exception(), kind)


def _stored(size: int, result: "PutResult") -> Stored:
    return Stored(size, etag=result["e_tag"], version_id=result["version"])
