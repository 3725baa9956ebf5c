"""The ceiling of downloads from a store: obstore's stream as it is, without a row, a condition or a safe header."""

from typing import Annotated

from fastapi import Header, Response
from fastapi.responses import StreamingResponse

from benchmarks.contenders.application import PLACE, application

app = application()
store = PLACE.store()


@app.get("/files/{name}")
async def read(name: str, range: Annotated[str, Header()] = "") -> Response:  # noqa: A002 - the header's name
    """Send a file, or one range of it."""
    if range:
        first, last = map(int, range.removeprefix("bytes=").split("-"))
        part = await store.get_range_async(name, start=first, end=last + 1)
        return Response(part.to_bytes(), 206)
    result = await store.get_async(name)
    return StreamingResponse(result.stream(), headers={"Content-Length": str(result.meta["size"])})
