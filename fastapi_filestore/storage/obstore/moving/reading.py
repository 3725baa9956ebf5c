"""Turn a store's answers into values of ours."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi_filestore.errors import StorageError, StorageUnavailableError
from fastapi_filestore.storage.backend import ObjectInfo
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.moving.metadata import CONTENT_TYPE, read_metadata

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta

READ_CHUNK = 256 * 1024
"""Bytes yielded at once when an object is read, at least; the last chunk may be shorter. Larger ones are no faster."""
MAX_READ_CHUNK = 4 * READ_CHUNK


def range_options(start: int, end: int | None) -> "GetOptions | None":
    """Return how obstore is asked for a range that is not empty."""
    if end is not None:
        return {"range": (start, end)}
    return {"range": {"offset": start}} if start else None


def info_of(path: str, result: "GetResult") -> ObjectInfo:
    """Return what the answer to a read or a head says of the whole object."""
    meta, attributes = result.meta, result.attributes
    return ObjectInfo(
        path=path,
        size=meta["size"],
        last_modified=meta["last_modified"],
        etag=meta["e_tag"],
        version_id=meta["version"],
        content_type=attributes.get(CONTENT_TYPE),
        metadata=read_metadata(attributes),
    )


def info_of_listed(meta: "ObjectMeta") -> ObjectInfo:
    """Return what a listing says of an object."""
    etag = meta["e_tag"]  # Azure leaves the quotes out of its listings
    return ObjectInfo(
        path=meta["path"],
        size=meta["size"],
        last_modified=meta["last_modified"],
        etag=f'"{etag}"' if etag and not etag.endswith('"') else etag,
        version_id=meta["version"],
    )


async def chunks_of(result: "GetResult") -> AsyncIterator[bytes]:
    """Iterate the bytes of an answer."""
    async for chunk in result.stream(min_chunk_size=READ_CHUNK):
        # The memory store hands out an object as one piece.
        for start in range(0, len(chunk), MAX_READ_CHUNK):
            yield chunk[start : start + MAX_READ_CHUNK]


async def resume_reading(
    get: "Callable[[GetOptions], Awaitable[GetResult]]", result: "GetResult", *, backend: str, path: str
) -> AsyncIterator[bytes]:
    """Iterate the bytes of an answer; one that breaks off is asked for the rest, as long as each brings some.

    A client may take longer than the store, or what is between, lets an answer last.
    """
    position, end = result.range
    while position < end:
        begin = position
        try:
            with translating(backend, path):
                async for chunk in chunks_of(result):
                    position += len(chunk)
                    yield chunk
            if position < end:
                raise StorageUnavailableError(f"Backend {backend!r} ended {path!a} early.", backend=backend, path=path)
        except StorageError:
            etag = result.meta["e_tag"]
            if position == end:
                return  # it broke behind the last byte
            if position == begin or etag is None:
                raise
            result = await get({"range": (position, end), "if_match": etag})
