"""Do without what a backend has no method for: copy by reading and writing, and probe by what it can do."""

from contextlib import suppress

from fastapi_filestore.errors import ObjectNotFoundError, StorageError
from fastapi_filestore.storage.backend import CopiedObjects, ProbedStore, StorageBackend
from fastapi_filestore.storage.paths import generate_path, generate_upload_path


async def copy_object(backend: StorageBackend, source: str, target: str) -> None:
    """Copy an object inside its store, or else by reading and writing it, in bounded memory.

    Raises:
        StorageError: What was read and written is shorter than the object; who copies deletes it then.
    """
    if isinstance(backend, CopiedObjects):
        await backend.copy(source, target)
        return
    stream = await backend.open(source)
    try:
        copied = await backend.put(
            target, stream.chunks, content_type=stream.info.content_type, metadata=stream.info.metadata
        )
    finally:
        await stream.aclose()
    if copied.size != stream.info.size:
        raise StorageError(
            f"The copy of {source!a} has {copied.size:,} bytes instead of {stream.info.size:,}: backend "
            f"{backend.key!r} gave or kept too few.",
            backend=backend.key,
            path=source,
        )


async def probe_store(backend: StorageBackend, *, write: bool) -> None:
    """Raise what a backend fails with: by its own probe, else by asking for an object, and by storing one."""
    if isinstance(backend, ProbedStore):
        await backend.probe()
        return
    with suppress(ObjectNotFoundError):
        await backend.head(generate_path())
    if write:
        path = generate_upload_path(0)
        await backend.put(path, b"filestore")
        await backend.delete(path)
