"""What a client stored by an upload URL: a row takes a copy of it, and the client can't change that."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from fastapi_filestore import (
    FileObject,
    FileService,
    ObstoreBackend,
    PendingContentError,
    storages,
)
from fastapi_filestore.storage.paths import is_generated
from tests.rows.client_uploads import service_of, taken, uploaded
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document

WRITES: dict[str, Callable[[Session, FileObject], Any]] = {
    "add": lambda s, file: s.add(Document(title="t", file=file)),
    "list": lambda s, file: s.add(Document(title="t", pages=[pending(), file])),
    "insert": lambda s, file: s.execute(insert(Document), [{"title": "t", "file": file}]),
    "update": lambda s, file: s.execute(update(Document).values(file=file)),
    "core": lambda s, file: s.connection().execute(insert(Document.__table__).values(title="t", file=file)),  # type: ignore[arg-type]
}


def flushed(session: Session, write: str, file: FileObject) -> None:
    """Write a row."""
    WRITES[write](session, file)
    session.flush()


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("looked", [False, True])
async def test_a_row_does_not_take_it_as_it_is(rows: Rows, write: str, looked: bool) -> None:
    """A flush, and any statement, refuses what the client can still change, and names what makes it a copy."""
    await rows.add(title="there")
    file = await uploaded(rows)
    if looked:
        await file.look_async()
    async with rows.work() as work:
        with pytest.raises(Exception, match=r"(?s)confirm_async|save_async") as caught:
            await work.do(lambda s: flushed(s, write, file))

    assert isinstance(
        getattr(caught.value, "orig", None) or caught.value.__cause__ or caught.value, PendingContentError
    )
    assert await taken(rows) == []
    await rows.backend.delete(str(file.path))


async def test_confirmed_it_is_a_copy(rows: Rows) -> None:
    """The row has the copy; what the client stored goes with the commit, and what it stores later is nobody's."""
    file = await uploaded(rows)
    upload = str(file.path)
    await file.confirm_async()
    assert (await file.confirm_async()).path == file.path
    assert await rows.keys() == {upload, file.path}
    identity = await rows.add(title="t", file=file)
    after = await rows.keys()
    await rows.backend.put(upload, b"evil and longer")

    assert is_generated(str(file.path))
    assert after == {file.path}
    assert await rows.content(identity) == b"client"
    assert [each.size for each in await taken(rows)] == [6]
    await rows.backend.delete(upload)


async def test_the_blocking_twin(rows: Rows) -> None:
    """`confirm()` does the same, blocking."""
    file = await uploaded(rows)
    await asyncio.to_thread(file.confirm)
    identity = await rows.add(title="t", file=file)

    assert await rows.content(identity) == b"client"
    assert await rows.keys() == {file.path}


async def create(service: FileService[Document], file: FileObject, identity: int) -> None:
    """Write a new row."""
    await service.create({"title": "new", "file": file})


async def replace(service: FileService[Document], file: FileObject, identity: int) -> None:
    """Replace the file of a row."""
    await service.replace(identity, file, field="file")


async def append(service: FileService[Document], file: FileObject, identity: int) -> None:
    """Add to the list of a row."""
    await service.append(identity, [pending(), file], field="pages")


async def in_a_block(service: FileService[Document], file: FileObject, identity: int) -> None:
    """Store it first."""
    async with service.storing(file, field="file") as stored:
        await service.create({"title": "new", "file": stored})


class Watching(ObstoreBackend):
    """A store that notes whether a session was in a transaction when it copied."""

    session: Any = None
    copies: list[bool]

    async def copy(self, source: str, target: str) -> None:
        """Note, and copy."""
        self.copies.append(self.session.in_transaction())
        await super().copy(source, target)


@pytest.mark.parametrize("write", [create, replace, append, in_a_block])
async def test_the_service_copies_before_its_transaction(rows: Rows, write: Any) -> None:
    """Whatever the service writes, the copy is made and known to the ledger while no transaction is open."""
    identity = await rows.add(title="there")
    watching = Watching("rows", "memory://")
    watching.copies = []
    storages.register_backend(watching, replace=True)
    rows.backend = watching
    file = await uploaded(rows)
    upload = file.path
    async with service_of(rows) as (service, work):
        watching.session = work.session
        await write(service, file, identity)
        known = set[str]() if rows.engine.dialect.name == "sqlite" else await rows.intents("upload")
        await service.commit()

    assert watching.copies == [False]
    assert file.path in known or not rows.has_ledger or rows.engine.dialect.name == "sqlite"
    assert upload not in await rows.keys()
    assert b"client" in [await each.get_content_async() for each in await taken(rows)]
