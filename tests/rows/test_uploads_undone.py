"""What a client stored by an upload URL, where a row that takes it is rolled back, changes its mind or has a rival."""

import pytest
from sqlalchemy.orm import Session

from fastapi_filestore import (
    FileObject,
    ObjectNotFoundError,
    StorageUnavailableError,
    storages,
)
from fastapi_filestore.storage.signing import UrlSigner
from fastapi_filestore.testing import FaultyBackend
from tests.rows.client_uploads import service_of, taken, uploaded
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document

KEY = "a-signing-key-that-is-long-enough-for-all"


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
