"""What routes by hand send of a store: obstore's stream, or one range of it."""

from fastapi import Response
from fastapi.responses import StreamingResponse
from obstore.store import LocalStore, S3Store


async def send_object(store: LocalStore | S3Store, path: str, wanted: str) -> Response:
    """Send an object, or the one range that a header wants."""
    if wanted:
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        part = await store.get_range_async(path, start=first, end=last + 1)
        return Response(part.to_bytes(), 206)
    result = await store.get_async(path)
    return StreamingResponse(result.stream(), headers={"Content-Length": str(result.meta["size"])})
