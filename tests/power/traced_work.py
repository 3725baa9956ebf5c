"""Pieces of work, one after the other, in a process of their own whose system calls are traced.

python -m tests.power.traced_work FOLDER WORK SIZE [WORK SIZE ...], each in the folder WORK-SIZE below
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, ObstoreBackend

KEY = "f/g/object"
PIECE = 256 * 1024


async def put(root: Path, size: int) -> None:
    """Store content that comes in pieces."""
    await ObstoreBackend("local", root).put(KEY, _content(size))


async def put_if_absent(root: Path, size: int) -> None:
    """Store content where nothing may be."""
    await ObstoreBackend("local", root).put(KEY, _content(size), if_absent=True)


async def copy(root: Path, size: int) -> None:
    """Copy an object of another folder."""
    backend = ObstoreBackend("local", root)
    await backend.put("source", _content(size))
    await backend.copy("source", KEY)


async def upload_signed(root: Path, size: int) -> None:
    """Store a body with a signed URL of the application's own."""
    settings = FilestoreSettings(
        backends={"default": {"url": root.as_uri()}}, signing_keys=["a-signing-key-that-is-long-enough-for-all"]
    )
    files = Filestore(_no_session, settings=settings)
    app = FastAPI()
    app.include_router(files.signed_router())
    async with files.lifespan(app), AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        file = FileObject("default", "a.bin")
        signed = await file.sign_async(for_upload=True)
        headers = {"Content-Type": file.content_type}
        (await client.put(signed, content=_content(size), headers=headers)).raise_for_status()


async def delete(root: Path, size: int) -> None:
    """Store an object and delete it."""
    backend = ObstoreBackend("local", root)
    await backend.put(KEY, _content(size))
    await backend.delete(KEY)


async def _no_session() -> AsyncSession:
    raise NotImplementedError


async def _content(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, PIECE):
        yield bytes(min(PIECE, size - start))


WORKS: dict[str, Callable[[Path, int], Coroutine[Any, Any, None]]] = {
    work.__name__: work for work in (put, put_if_absent, copy, upload_signed, delete)
}

if __name__ == "__main__":
    for work, size in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
        folder = Path(sys.argv[1], f"{work}-{size}")
        folder.joinpath("store").mkdir()
        asyncio.run(WORKS[work](folder / "store", int(size)))
        folder.joinpath("returned").mkdir()
