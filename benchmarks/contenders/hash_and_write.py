"""The floor of large uploads: read the body, hash it and write it in threads, and nothing else: no form, no row."""

import asyncio
from hashlib import sha256
from typing import Final
from uuid import uuid4

from benchmarks.contenders import discard
from benchmarks.contenders.application import PLACE

BATCH: Final = 1024 * 1024
"""Bytes that a thread gets at once."""


async def app(scope: discard.Message, receive: discard.Receive, send: discard.Send) -> None:
    """Store the body as it is, headers of its parts included, and let `discard` answer."""
    if scope["type"] == "lifespan" or scope["method"] == "GET":
        await discard.app(scope, receive, send)
        return
    digest, batch, at_work, has_more = sha256(), bytearray(), list[asyncio.Future[object]](), True
    with (PLACE.folder / uuid4().hex).open("wb", buffering=0) as file:
        while has_more:
            message = await receive()
            batch += message["body"]
            has_more = message.get("more_body", False)
            if len(batch) >= BATCH or not has_more:
                await asyncio.gather(*at_work)  # of the batch before, while this one came in
                loop = asyncio.get_running_loop()
                at_work = [loop.run_in_executor(None, work, batch) for work in (digest.update, file.write)]
                batch = bytearray()
        await asyncio.gather(*at_work)

    async def nothing_more() -> discard.Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    await discard.app(scope, nothing_more, send)
