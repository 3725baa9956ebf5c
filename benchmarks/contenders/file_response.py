"""The ceiling of downloads from the disk: Starlette's FileResponse."""

from fastapi.responses import FileResponse

from benchmarks.contenders.application import PLACE, application

app = application()


@app.get("/files/{name}")
async def read(name: str) -> FileResponse:
    """Send a file."""
    return FileResponse(PLACE.folder / name)
