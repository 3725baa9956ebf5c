"""What a client stored by an upload URL: a row takes a copy of it, and the client can't change that."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from fastapi_filestore import (
    FileObject,
    FileService,
    ObjectNotFoundError,
    ObstoreBackend,
    PendingContentError,
    StorageUnavailableError,
    storages,
)
from fastapi_filestore.storage.paths import generate_upload_path, is_generated
from fastapi_filestore.storage.signing import UrlSigner
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, Work, pending
from tests.rows.models import Document

KEY = "a-signing-key-that-is-long-enough-for-all"


async def uploaded(rows: Rows, content: bytes = b"client") -> FileObject:
    """Return a file that a client has stored by an upload URL."""
    path = generate_upload_path(60)
    await rows.backend.put(path, content)
    return FileObject("rows", "a.txt", path=path)


@asynccontextmanager
async def service_of(rows: Rows) -> AsyncIterator[tuple[FileService[Document], Work]]:
    """Open a service, and its session."""
    async with rows.work() as work:
        yield FileService(work.session, model=Document), work


async def taken(rows: Rows) -> list[FileObject]:
    """Return the files that rows have."""
    async with rows.work() as work:
        documents = await work.do(lambda s: s.scalars(select(Document).order_by(Document.id)).all())
        return [file for each in documents for file in ([each.file] if each.file else []) + list(each.pages or [])]


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


async def test_a_rollback_leaves_what_the_client_stored(rows: Rows) -> None:
    """The copy goes, and the same file can be taken again."""
    file = await uploaded(rows)
    upload = file.path
    async with service_of(rows) as (service, _):
        await service.create({"title": "t", "file": file})
        await service.rollback()
        assert await rows.keys() == {upload}
        assert file.path == upload
        await service.create({"title": "t", "file": file})
        await service.commit()

    assert await rows.keys() == {file.path} == {each.path for each in await taken(rows)}


async def test_a_savepoint_that_is_rolled_back(rows: Rows) -> None:
    """It is as if the row of the savepoint had never been; a later one takes the file."""
    file = await uploaded(rows)
    upload = file.path
    async with rows.work() as work:
        await work.add(Document(title="outer"))
        await file.confirm_async()

        def inner(session: Session) -> None:
            savepoint = session.begin_nested()
            session.add(Document(title="inner", file=file))
            session.flush()
            savepoint.rollback()

        await work.do(inner)
        await work.commit()
    assert await rows.keys() == {upload}
    await file.confirm_async()
    await rows.add(title="t", file=file)

    assert await rows.keys() == {file.path}


async def test_two_that_take_one_upload(rows: Rows) -> None:
    """Each row has a copy of its own, and one that comes too late is told that it is gone."""
    first = await uploaded(rows)
    second, third = (FileObject("rows", "a.txt", path=first.path) for _ in range(2))
    async with service_of(rows) as (one, _), service_of(rows) as (other, _):
        await first.confirm_async()
        await second.confirm_async()
        await one.create({"title": "1", "file": first})
        await one.commit()
        await other.create({"title": "2", "file": second})
        await other.commit()
        with pytest.raises(ObjectNotFoundError):
            await other.create({"title": "3", "file": third})

    assert [await each.get_content_async() for each in await taken(rows)] == [b"client", b"client"]
    assert await rows.keys() == {first.path, second.path}


async def test_a_row_that_changes_its_mind(rows: Rows) -> None:
    """A copy that a row of the same transaction gives up again goes with what the client stored."""
    async with service_of(rows) as (service, work):
        document = await service.create({"title": "t", "file": await uploaded(rows)})
        await service.update(document.id, {"file": pending(b"own")})
        await work.commit()

    assert [await each.get_content_async() for each in await taken(rows)] == [b"own"]
    assert len(await rows.keys()) == 1


async def test_a_moved_copy(rows: Rows) -> None:
    """A copy that moves to another row in the same transaction is that row's, and the client's object goes once."""
    async with service_of(rows) as (service, work):
        one = await service.create({"title": "1", "file": await uploaded(rows)})
        two = await service.create({"title": "2"})

        def move(session: Session) -> None:
            two.file, one.file = one.file, None
            session.flush()

        await work.do(move)
        await work.commit()

    assert [await each.get_content_async() for each in await taken(rows)] == [b"client"]
    assert len(await rows.keys()) == 1


@pytest.mark.parametrize("operation", ["head", "copy", "delete"])
@pytest.mark.parametrize("after", [False, True])
async def test_a_store_that_fails(rows: Rows, operation: str, after: bool) -> None:
    """Whichever call fails, before it does its work or after, the client's object can be taken again."""
    inner, file = rows.backend, await uploaded(rows)
    upload = file.path
    faulty = FaultyBackend(inner, lambda _, name: name == operation, after=after)
    storages.register_backend(faulty, replace=True)
    async with service_of(rows) as (service, _):
        if operation == "delete":
            await service.create({"title": "t", "file": file})
            await service.rollback()
        else:
            with pytest.raises(StorageUnavailableError):
                await service.create({"title": "t", "file": file})
            assert file.path == upload
        storages.register_backend(inner, replace=True)
        await service.create({"title": "t", "file": file})
        await service.commit()
    keys = await rows.keys()
    if rows.has_ledger:
        await rows.sweep()
    else:
        await inner.delete(*(keys - {str(file.path)}))  # an audit finds it

    assert {each.path for each in await taken(rows)} == {file.path}


async def test_what_the_service_signed_is_known_to_the_ledger(rows: Rows) -> None:
    """Until an hour after the URL's end; also if the client stores once more when the row has its copy."""
    storages.signer = UrlSigner([KEY], base_url="/filestore?sig=")
    try:
        file = FileObject(filename="a.txt")
        async with service_of(rows) as (service, _):
            signed = await service.sign_upload(file, field="file", expires_in=60)
            again = await service.sign_upload(file, field="file", expires_in=90)
            await service.commit()
    finally:
        storages.signer = None
    assert signed.method == again.method == "PUT"
    upload = str(file.path)
    assert await rows.intents() == ({upload} if rows.has_ledger else set())
    await rows.backend.put(upload, b"client")
    async with service_of(rows) as (service, _):
        await service.create({"title": "t", "file": FileObject("rows", "a.txt", path=upload)})
        await service.commit()
    (held,) = await taken(rows)
    assert await rows.keys() == {held.path}
    await rows.backend.put(upload, b"evil")
    assert upload in await rows.intents() or not rows.has_ledger
    swept = await rows.sweep()

    assert [each.path for each in swept] == ([upload] if rows.has_ledger else [])
    assert await held.get_content_async() == b"client"
    await rows.backend.delete(upload)


async def test_what_is_stored_elsewhere_is_taken_as_it_is(rows: Rows) -> None:
    """What operators put somewhere is not copied."""
    await rows.backend.put("imports/a.pdf", b"operator")
    file = await FileObject("rows", "a.pdf", path="imports/a.pdf").confirm_async()
    await rows.add(title="t", file=file)

    assert file.path == "imports/a.pdf"
    assert await rows.keys() == {"imports/a.pdf"}
