"""Copy an object within a store; one that S3 does not copy by itself passes through here, in bounded memory."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import obstore

from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.moving.liveness import ask, wait_for_answer
from fastapi_filestore.storage.obstore.moving.parts import plan_parts
from fastapi_filestore.storage.obstore.moving.put import PutRequest
from fastapi_filestore.storage.obstore.moving.reading import resume_reading
from fastapi_filestore.storage.obstore.opening.store_url import Kind
from fastapi_filestore.storage.obstore.opening.stores import Connection

if TYPE_CHECKING:
    from obstore import GetResult

COPY_LIMIT = 5 * 1024**3
"""The longest object in bytes that S3, and what speaks its protocol, copies in one request."""


async def copy_within(connection: Connection, source: str, target: str, *, backend: str) -> None:
    """Have a store copy an object, which may take it long."""
    store, patient = connection.store, connection.patient
    question = None if patient is None else partial(ask, store, source, backend=backend)
    request = asyncio.ensure_future(obstore.copy_async(patient or store, source, target))
    try:
        with translating(backend, source):
            await wait_for_answer(request, question)
    finally:
        request.cancel()


async def copy_through(
    get: "Callable[..., Awaitable[GetResult]]",
    connection: Connection,
    *,
    kind: Kind,
    backend: str,
    source: str,
    target: str,
) -> None:
    """Read an object and store it at another path as it comes, with everything that is kept beside its bytes.

    One that fails or is cancelled leaves no part behind.

    Args:
        get: Asks the store for an object, with options of obstore's.
        connection: The store.
        kind: What the store is.
        backend: The key of the backend.
        source: The object's path.
        target: The path of its copy.
    """
    result = await get(source, None)
    plan = plan_parts(kind, size=result.meta["size"])
    attributes = dict(result.attributes)
    request = PutRequest(connection, backend, target, attributes, plan, if_absent=False)
    await request.run(resume_reading(partial(get, source), result, backend=backend, path=source))
