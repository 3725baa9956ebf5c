"""What the soak's tasks do to documents, each a unit of work on one row that others change at the same time."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from fastapi_filestore import FileObject
from tests.soak.models import Document
from tests.soak.sessions import WorkSession, service_of

MAX_SIZE = 20_000
"""Bytes of a file at the most: many small ones press the ledger harder than few big ones."""


class PlannedError(Exception):
    """What makes a unit of work fail on purpose, after its flush."""


class NoRowError(Exception):
    """There is nothing to change: nobody created a row yet, or others deleted it meanwhile."""


Operation = Callable[[WorkSession, Random], Awaitable[None]]


def content(random: Random) -> FileObject:
    """Return a file with bytes of its own."""
    return FileObject(filename="soak.bin", content=random.randbytes(random.randrange(1, MAX_SIZE)))


async def create(session: WorkSession, random: Random) -> None:
    """Add a row."""
    session.add(Document(file=content(random), pages=[content(random) for _ in range(random.randrange(4))]))
    await session.commit()


async def create_by_service(session: WorkSession, random: Random) -> None:
    """Add a row as a route does."""
    async with service_of(session).unit_of_work() as service:
        await service.create({"file": content(random)})


async def replace(session: WorkSession, random: Random) -> None:
    """Put another file in a row's place."""
    (await _any_document(session)).file = content(random)
    await session.commit()


async def replace_by_service(session: WorkSession, random: Random) -> None:
    """Put another file in a row's place as a route does."""
    identity = await _any_identity(session)
    await session.rollback()
    async with service_of(session).unit_of_work() as service:
        await service.replace(identity, content(random), field="file")


async def take_away(session: WorkSession, random: Random) -> None:
    """Leave a row without a file."""
    (await _any_document(session)).file = None
    await session.commit()


async def edit_pages(session: WorkSession, random: Random) -> None:
    """Add, drop and reorder pages."""
    document = await _any_document(session)
    pages = document.pages
    if pages and random.random() < 0.5:
        pages.pop(random.randrange(len(pages)))
    pages.extend(content(random) for _ in range(random.randrange(3)))
    document.pages = random.sample(pages, len(pages))
    await session.commit()


async def delete(session: WorkSession, random: Random) -> None:
    """Delete a row with all its files."""
    await session.delete(await _any_document(session))
    await session.commit()


async def savepoint(session: WorkSession, random: Random) -> None:
    """Do something in a savepoint that is rolled back, and something else outside of it."""
    document = await _any_document(session)
    savepoint = await session.begin_nested()
    document.file = content(random)
    await session.flush()
    await savepoint.rollback()
    (await _any_document(session)).pages = [content(random)]
    await session.commit()


async def fail(session: WorkSession, random: Random) -> None:
    """Fail after the flush."""
    session.add(Document(file=content(random)))
    (await _any_document(session)).file = content(random)
    await session.flush()
    raise PlannedError


OPERATIONS: Final[dict[Operation, int]] = {
    create: 4,
    create_by_service: 4,
    replace: 4,
    replace_by_service: 4,
    take_away: 1,
    edit_pages: 4,
    delete: 6,
    savepoint: 2,
    fail: 2,
}
"""Each with how often it is chosen."""


async def _any_identity(session: WorkSession) -> UUID:
    found: UUID | None = await session.scalar(select(Document.id).order_by(func.random()).limit(1))
    if found is None:
        raise NoRowError
    return found


async def _any_document(session: WorkSession) -> Document:
    document: Document | None = await session.get(Document, await _any_identity(session))
    if document is None:
        raise NoRowError
    return document
