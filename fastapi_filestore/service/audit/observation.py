"""Compare what a store says of an object now with what a row says of it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fastapi_filestore.errors import InvalidKeyError, ObjectNotFoundError, StorageError, UnknownBackendError
from fastapi_filestore.intake.digests import sha256_of
from fastapi_filestore.service.audit.findings import FindingKind
from fastapi_filestore.service.audit.references import ObjectLocation, Reference
from fastapi_filestore.storage.backend import ObjectInfo
from fastapi_filestore.storage.paths import HeldPath
from fastapi_filestore.storage.registry import StorageRegistry

S = TypeVar("S")
T = TypeVar("T")

LOOKS_AT_ONCE = 8
"""Objects asked for, or read, at the same time."""

Difference = tuple[FindingKind, str]
"""What is wrong, and the same in words."""


@dataclass(frozen=True, slots=True)
class Observation:
    """An object as the store has it: `info` is None if it is missing, `error` says why nothing could be seen."""

    info: ObjectInfo | None = None
    checksum: str | None = None
    error: Difference | None = None


async def observe(registry: StorageRegistry, at: ObjectLocation, *, read: bool = False) -> Observation:
    """Ask a store for an object; with `read`, digest its bytes."""
    try:
        store = registry.get_backend(at.backend)
        if not read:
            return Observation(await store.head(HeldPath(at.path)))
        stream = await store.open(HeldPath(at.path))
        return Observation(stream.info, await sha256_of(stream))
    except (ObjectNotFoundError, InvalidKeyError):
        return Observation()
    except UnknownBackendError as error:
        return Observation(error=(FindingKind.UNKNOWN_BACKEND, str(error)))
    except StorageError as error:
        return Observation(error=(FindingKind.UNCHECKED, str(error)))


async def look_at_all(look: Callable[[S], Awaitable[T]], subjects: Sequence[S]) -> list[T]:
    """Look at several subjects, a bounded number at a time; the answers are in their order."""
    gate = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def look_in_turn(subject: S) -> T:
        async with gate:
            return await look(subject)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(look_in_turn(subject)) for subject in subjects]
    return [task.result() for task in tasks]


def difference(reference: Reference, seen: Observation) -> Difference | None:
    """Return the worst of what a row and an object disagree in, if they do."""
    if seen.error is not None:
        return seen.error
    if seen.info is None:
        return FindingKind.MISSING, "The object is missing."
    if _differs(reference.size, seen.info.size):
        detail = f"The row says {reference.size} bytes, the store {seen.info.size}."
        return FindingKind.SIZE, detail
    if _differs(reference.checksum, seen.checksum):
        return FindingKind.CHECKSUM, f"The row says SHA-256 {reference.checksum}, the bytes {seen.checksum}."
    if _differs(reference.etag, seen.info.etag):
        return FindingKind.ETAG, f"The row says entity tag {reference.etag}, the store {seen.info.etag}."
    return None


def _differs(expected: object, actual: object) -> bool:
    # What one side never knew can't be wrong.
    return expected is not None and actual is not None and expected != actual


def facts(reference: Reference, seen: Observation) -> dict[str, object]:
    """Return what a row is to say of an object so that it agrees with the store."""
    assert seen.info is not None, "there are no facts about a missing object"
    resized = reference.size != seen.info.size
    # Bytes that nobody has read since they changed have no checksum that anybody could vouch for.
    checksum = seen.checksum or (None if resized else reference.checksum)
    return {
        "size": seen.info.size,
        "etag": seen.info.etag,
        "version_id": seen.info.version_id,
        "last_modified": seen.info.last_modified.timestamp(),
        "checksum": checksum,
    }
