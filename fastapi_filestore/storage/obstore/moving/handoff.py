"""Hand content from its reader to obstore, which sends it: chunk by chunk, no faster than they are sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from fastapi_filestore.storage.obstore.moving.liveness import Ask, wait_for_answer
from fastapi_filestore.storage.obstore.moving.parts import PartPlan

PROBE = 1024
"""Bytes of a part that are handed over first: more are asked for only when the part before has arrived."""


class UploadAbortedError(Exception):
    """Raised into obstore, which then aborts a multipart upload; dropping the upload would leave its parts."""


class Handoff:
    """Passes chunks from the caller's task, which reads the content, to obstore, which pulls them as it sends."""

    def __init__(
        self,
        plan: PartPlan,
        *,
        between: Callable[[], Awaitable[None]] | None = None,
        let_go: Callable[[int], None] | None = None,
        ask: Ask | None = None,
    ) -> None:
        """Pass on chunks of which obstore makes parts.

        With `between`, each part has arrived before the next one is begun, and `between` is awaited before it is.
        `let_go` is told the bytes that have arrived; `ask` asks whether the store lives, when it takes nothing.
        """
        self._ask = ask
        self._part, self._between, self._let_go = plan.size, between, let_go
        self._concurrency = plan.concurrency
        self._begun = self._passed = self._arrived = 0
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
        while not (self._released or (self._slot.empty() and self._hungry.is_set())):
            # Not all that was passed has been pulled, or no more is asked for yet.
            self._hungry.clear()
            await self._while_it_lives(self._hungry.wait())
        await self._between()
        return await self._pass_after(size + len(chunk[:begun]), chunk[begun:])

    async def _pass(self, chunk: bytes | None) -> None:
        # Who waits here when the upload ends is let go by the emptying, and must not wait again.
        if self._released or chunk == b"":
            return
        if self._slot.full():
            await self._while_it_lives(self._slot.put(chunk))
        else:
            self._slot.put_nowait(chunk)

    async def _while_it_lives(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        try:
            await wait_for_answer(task, self._ask)
        finally:
            task.cancel()

    def _empty(self) -> None:
        while not self._slot.empty():
            self._slot.get_nowait()

    def __aiter__(self) -> "Handoff":
        return self

    async def __anext__(self) -> bytes:
        self._hungry.set()
        # obstore takes a chunk into a part when fewer parts than it may send at once are on their way, and asks for the
        # next one then: of the parts that were full before that chunk, all but those have arrived.
        arrived = max(0, self._begun // self._part - (self._concurrency - 1)) * self._part
        if arrived > self._arrived and self._let_go is not None:
            self._let_go(arrived - self._arrived)
            self._arrived = arrived
        chunk = await self._slot.get()
        self._hungry.clear()
        if self._aborted:
            raise UploadAbortedError
        if chunk is None:
            raise StopAsyncIteration
        self._begun, self._passed = self._passed, self._passed + len(chunk)
        return chunk
