"""The ceiling of downloads from a store: obstore's stream as it is, without a row, a condition or a safe header."""

from typing import Annotated

from fastapi import Header, Response

from benchmarks.contenders.application import PLACE, application
from benchmarks.contenders.objects import send_object

app = application()
store = PLACE.store()


@app.get("/files/{name}")
async def read(name: str, range: Annotated[str, Header()] = "") -> Response:  # noqa: A002 - the header's name
    """Send a file, or one range of it."""
    return await send_object(store, name, range)
