"""The ceiling of S3: obstore puts a file from the disk, and no byte of it comes over HTTP."""

from pathlib import Path

from fastapi import Response

from benchmarks.contenders.application import PLACE, application
from benchmarks.place import SOURCE

app = application()
store = PLACE.store()


@app.post("/documents/", status_code=201)
async def put() -> Response:
    """Put the file that the harness made."""
    await store.put_async("file.bin", Path(PLACE.root) / SOURCE)
    return Response(status_code=201)
