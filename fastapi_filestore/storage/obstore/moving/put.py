"""Store one object in bounded memory, and leave nothing behind when it fails or is cancelled."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import obstore
from anyio import CancelScope

from fastapi_filestore.concurrency.shielded import tell_left
from fastapi_filestore.errors import StorageError, StorageTimeoutError
from fastapi_filestore.storage.backend import Stored
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.content import WORTHWHILE, join_chunks
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.moving.conditions import (
    explaining_missing_conditions,
    has_conditions,
    refuse_taken,
)
from fastapi_filestore.storage.obstore.moving.handoff import Handoff, UploadAbortedError
from fastapi_filestore.storage.obstore.moving.liveness import Ask, ask, wait_for_answer
from fastapi_filestore.storage.obstore.moving.parts import PartPlan
from fastapi_filestore.storage.obstore.opening.stores import Connection
from fastapi_filestore.storage.share import STEP, Share

if TYPE_CHECKING:
    from obstore import PutResult

PIECE = 256 * 1024
"""Bytes handed to obstore at once: as many as servers read at once, so that they are seldom copied."""
BIG_PIECE = 512 * 1024
"""The same where memory allows for it: the way over the event loop costs more than a copy."""

SHORT = 256 * 1024
"""Bytes that are sent in no time over any line: a store that takes longer for them hangs."""
UNDO_PATIENCE = 4.0
"""Seconds that the end of a request is waited for when its upload was cancelled: a process may be about to end."""


@dataclass(frozen=True, slots=True)
class PutRequest:
    """A request to store content at a path; run it with chunks of no more than `longest` bytes, if that is known.

    What `is_piece` of a file goes without parts if there is memory for all of it.
    """

    connection: Connection
    backend: str
    path: str
    attributes: Mapping[str, str] | None
    plan: PartPlan
    if_absent: bool
    longest: int | None = None
    is_piece: bool = False
    share: Share | None = None

    async def run(self, chunks: AsyncIterator[bytes]) -> Stored:
        """Store the chunks; an error of theirs is raised as it is."""
        async with aclosing(join_chunks(chunks, WORTHWHILE)) as pieces:
            start = [await anext(pieces, b"")]
            most = self.plan.in_flight
            if most is None or sum(map(len, start)) < WORTHWHILE:
                return await self.send(start, join_chunks(pieces, PIECE))
            # Only now, so that a client whose bytes are not there yet takes no share, and who waits holds little.
            async with upload_memory.first_step() as share:
                share.used = sum(map(len, start))
                counted = _count_pieces(pieces, share)
                start, complete = await take(counted, STEP - 1, start)
                if not complete:
                    # More has come than a first step: memory for whole parts.
                    longest = most if self.longest is None else self.longest
                    await share.widen(least=max(share.size, min(self.plan.least, longest)), most=min(most, longest))
                plan = self.plan.within(max(share.size, self.plan.least))
                if self.is_piece and self.longest is not None and self.longest <= share.size:
                    plan = replace(self.plan, size=max(self.plan.size, self.longest))
                planned = replace(self, plan=plan, share=share)
                piece = BIG_PIECE if planned.plan.concurrency > 1 else PIECE
                return await planned.send(start, join_chunks(counted, piece))

    async def send(self, start: list[bytes], rest: AsyncIterator[bytes]) -> Stored:
        """Store chunks that were read already and the rest, as planned."""
        head, complete = await take(rest, self.plan.single_limit, start)
        if not complete:
            return await self._send_parts(head, rest)
        body = b"".join(head)
        head.clear()  # or each byte would be held twice
        return await self._send_whole(body)

    async def _send_whole(self, body: bytes) -> Stored:
        """Store bytes as one request."""
        is_long, store = len(body) > SHORT, self.connection.store
        create = self.if_absent and has_conditions(store)
        if self.if_absent and not create:
            await refuse_taken(store, self.path, backend=self.backend)
        future = self._request(body, create=create, is_long=is_long)
        explaining = explaining_missing_conditions(store, self.path, backend=self.backend) if create else nullcontext()
        try:
            with translating(self.backend, self.path), explaining:
                result = await wait_for_answer(future, self._ask if is_long else None)
            return Stored(len(body), etag=result["e_tag"], version_id=result["version"])
        except asyncio.CancelledError as error:
            # A request half-way may still arrive: only its end says whether there is something to undo.
            if (await _finish(future) and not await self._undo()) or future.cancelled():
                tell_left(error, self.backend, self.path)
            raise
        finally:
            future.cancel()  # of a store that is given up

    async def _send_parts(self, head: list[bytes], rest: AsyncIterator[bytes]) -> Stored:
        if self.if_absent:
            # A multipart upload overwrites what it finds, so an empty object takes the path first.
            await self._send_whole(b"")
        # With several parts on their way at once, nobody can tell when all are done.
        gives_way = self.share is not None and self.plan.concurrency == 1
        handoff = Handoff(
            self.plan,
            between=self.share.give_way if gives_way and self.share else None,
            let_go=self.share.let_go if self.share else None,
            ask=self._ask,
        )
        future = self._request(handoff, create=False, is_long=True)
        future.add_done_callback(handoff.release)
        try:
            size = await handoff.feed(head, rest)
            with translating(self.backend, self.path):
                result = await wait_for_answer(future, self._ask)
            return Stored(size, etag=result["e_tag"], version_id=result["version"])
        except StorageTimeoutError:
            handoff.abort()
            future.cancel()  # who answers nothing can't be told to abort it
            raise
        except BaseException as error:
            handoff.abort()
            await _finish(future)
            # What the store itself failed at, it may have: that needs no telling.
            is_undone = isinstance(error, StorageError) or _failed_as(future, UploadAbortedError)
            if not (await self._undo() and is_undone):
                tell_left(error, self.backend, self.path)
            raise

    @property
    def _ask(self) -> Ask | None:
        is_patient = self.connection.patient is not None
        return partial(ask, self.connection.store, self.path, backend=self.backend) if is_patient else None

    def _request(self, body: bytes | Handoff, *, create: bool, is_long: bool) -> "asyncio.Future[PutResult]":
        request = obstore.put_async(
            (self.connection.patient if is_long else None) or self.connection.store,
            self.path,
            body,
            attributes=dict(self.attributes) if self.attributes else None,
            mode="create" if create else "overwrite",
            use_multipart=isinstance(body, Handoff),
            chunk_size=self.plan.size,
            max_concurrency=self.plan.concurrency,
        )
        return asyncio.ensure_future(request)

    async def _undo(self) -> bool:
        """Delete what is at a path that was free before, and say whether nothing is there any more."""
        if not self.if_absent:
            # The path may have held an object before: the new one there is better than none.
            return True
        future = asyncio.ensure_future(obstore.delete_async(self.connection.store, self.path))
        return await _finish(future) or _failed_as(future, FileNotFoundError)


async def _count_pieces(pieces: AsyncIterator[bytes], share: Share) -> AsyncGenerator[bytes, None]:
    async for piece in pieces:
        await share.count(len(piece))
        yield piece


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
    """Wait for a request's end, whoever cancels meanwhile, and say whether it succeeded; give up one that hangs."""
    end = monotonic() + UNDO_PATIENCE
    with CancelScope(shield=True):
        while not future.done():
            try:
                await asyncio.wait({future}, timeout=max(0.0, end - monotonic()))
            except asyncio.CancelledError:
                continue
            if monotonic() >= end:
                future.cancel()
    return not future.cancelled() and future.exception() is None


def _failed_as(future: "asyncio.Future[Any]", kind: type[Exception]) -> bool:
    return not future.cancelled() and isinstance(future.exception(), kind)
