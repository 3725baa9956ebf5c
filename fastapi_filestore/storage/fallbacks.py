"""Do without what a backend has no method for: copy by reading and writing, and probe by what it can do."""

from contextlib import suppress
from inspect import signature

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import ObjectNotFoundError, StorageError
from fastapi_filestore.storage.backend import CopiedObjects, Join, JoinedObjects, ProbedStore, StorageBackend
from fastapi_filestore.storage.paths import generate_path, generate_upload_path

CALLS = frozenset({"put", "open", "head", "delete", "list"})
"""What every backend does, and a probe is to try."""
BYTES = frozenset({"put", "open", "copy"})
"""What bytes pass through that are stored or read."""
PROBE = b"filestore-probe"
"""What an object holds that a probe stores, and deletes at once."""


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


def join_of(backend: StorageBackend) -> Join | None:
    """Return what makes an object of others inside a store; None where it can't be done.

    A backend inside another one, or of a base class whose calls were overridden, knows nothing of what is done around
    it: what that has encrypted, for one, are not the bytes that a file has.
    """
    is_own = _defines(type(backend), "join", calls=BYTES)
    return backend.join if is_own and isinstance(backend, JoinedObjects) else None


async def probe_store(backend: StorageBackend, *, write: bool) -> None:
    """Raise what a backend fails with: by its own probe, else by asking for an object, and by storing one.

    The probe of a backend inside another one, or of a base class whose calls were overridden, knows nothing of what is
    done around it: it is asked whether the store can be read, and the rest is tried by calls.
    """
    is_own = _defines(type(backend), "probe", calls=CALLS)
    if isinstance(backend, ProbedStore):
        takes_write = "write" in signature(backend.probe).parameters
        await (backend.probe(write=write and is_own) if takes_write else backend.probe())
    if not is_own:
        await _try_calls(backend, write=write)


def _defines(kind: type, name: str, *, calls: frozenset[str]) -> bool:
    """Tell whether a class defines a method, or inherits it and overrides no call that it does without."""
    for definer in kind.__mro__:
        if name in vars(definer):
            return True
        if not calls.isdisjoint(vars(definer)):
            return False
    return False


async def _try_calls(backend: StorageBackend, *, write: bool) -> None:
    with suppress(ObjectNotFoundError):
        await backend.head(generate_path())
    if not write:
        return
    path = generate_upload_path(0)
    try:
        await backend.put(path, PROBE, if_absent=True)
        await backend.head(path)
    except BaseException:  # and something may be there all the same
        with suppress(Exception):
            await finish(backend.delete(path))
        raise
    await backend.delete(path)
