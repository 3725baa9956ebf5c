"""The application of the tests that need sockets: uvicorn runs it in a process of its own, set up by environment."""

import json
import os

from fastapi import FastAPI, Request, Response

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, ObstoreBackend, StorageRegistry
from fastapi_filestore.testing import FaultyBackend

whole, torn = StorageRegistry(), StorageRegistry()
backend = ObstoreBackend("store", os.environ["STORE_URL"], **json.loads(os.environ["STORE_OPTIONS"]))
whole.register_backend(backend)
torn.register_backend(FaultyBackend(backend, lambda call, operation: operation == "open", after=True))
files = Filestore(settings=FilestoreSettings(_env_file=None), registry=whole)
app = FastAPI(exception_handlers=files.exception_handlers)


@app.get("/whole/{key}")
async def read(request: Request, key: str) -> Response:
    """Serve an object."""
    return await files.download(request, await FileObject("store", path=key, registry=whole).confirm_async())


@app.get("/torn/{key}")
async def read_torn(request: Request, key: str) -> Response:
    """Serve an object of a store that fails half-way."""
    broken = Filestore(settings=files.settings, registry=torn)
    return await broken.download(request, await FileObject("store", path=key, registry=torn).confirm_async())


@app.get("/held")
async def held() -> dict[str, int]:
    """Return the peak of the process's memory, in bytes, and how many files it holds open for its clients."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: ASYNC230, PTH123 - no disk is behind it
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    names = os.listdir("/proc/self/fd")  # noqa: PTH208 - the same
    return {"peak": peak, "files": sum(map(_is_served, names))}


def _is_served(descriptor: str) -> bool:
    """Tell whether a descriptor is a connection, or a file of the store."""
    try:
        link = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - the same
    except FileNotFoundError:  # the one that listed them
        return False
    return link.startswith(("socket:", os.environ["STORE_URL"].removeprefix("file://")))
