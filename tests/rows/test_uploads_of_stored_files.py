"""An upload URL of a file that a row holds: nobody stores over it, and the row gets what came when it is confirmed."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, PendingContentError, storages
from fastapi_filestore.storage.signing import UrlSigner
from tests.rows.client_uploads import service_of, taken
from tests.rows.conftest import LEDGER_OR_NOT, Rows, pending
from tests.rows.models import Document

pytestmark = pytest.mark.parametrize("rows", LEDGER_OR_NOT, indirect=True)


@pytest.fixture(autouse=True)
async def signer() -> AsyncIterator[None]:
    """The application signs."""
    storages.signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/filestore?sig=")
    yield
    storages.signer = None


async def staged(rows: Rows, file: FileObject, content: bytes = b"client") -> str:
    """Sign an upload URL for a stored file, store as a client would, and return where."""
    await file.sign_async(expires_in=60, for_upload=True)
    upload = str(file.upload_path)
    await rows.backend.put(upload, content)
    return upload


@pytest.mark.parametrize("is_list", [False, True])
async def test_a_row_gets_what_came(rows: Rows, is_list: bool) -> None:
    """With the next commit it holds a copy of that, and what it held goes."""
    identity = await rows.add(title="t", pages=[pending(), pending()] if is_list else None, file=pending(b"old"))
    kept = {file.path for file in await taken(rows)}
    async with rows.work() as work:
        document = await work.get(Document, identity)
        file = (document.pages or [])[1] if is_list else document.file
        assert file is not None
        before = file.path
        await staged(rows, file)
        await work.commit()  # nothing has changed
        assert before in await rows.keys()
        document = await work.get(Document, identity)
        file = (document.pages or [])[1] if is_list else document.file
        assert file is not None
        upload = await staged(rows, file)
        await file.confirm_async()
        await work.commit()

    held = await taken(rows)
    assert {each.path for each in held} == kept - {before} | {file.path}
    assert b"client" in [await each.get_content_async() for each in held]
    keys = await rows.keys()
    assert before not in keys
    assert upload not in keys
    await rows.backend.delete(*(keys - {str(each.path) for each in held}))  # of the first URL, for an audit


async def test_a_row_that_was_let_go(rows: Rows) -> None:
    """A file in hand whose row was loaded again since changes it all the same."""
    identity = await rows.add(title="t", file=pending(b"old"))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        file = document.file
        assert file is not None
        await staged(rows, file)
        await work.commit()
        await file.confirm_async()
        await work.do(lambda session: session.commit() if document.file else None)

    assert await rows.content(identity) == b"client"
    assert await rows.keys() == {file.path}


async def test_a_rollback(rows: Rows) -> None:
    """The row holds what it held, the copy is gone, and what the client stored can be taken again."""
    identity = await rows.add(title="t", file=pending(b"old"))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        file = document.file
        assert file is not None
        upload = await staged(rows, file)
        await file.confirm_async()
        await work.flush()
        await work.rollback()
    (held,) = await taken(rows)
    assert await held.get_content_async() == b"old"
    assert await rows.keys() == {held.path, upload}
    async with service_of(rows) as (service, _):
        await service.replace(identity, FileObject("rows", "a.txt", path=upload), field="file")
        await service.commit()

    assert await rows.content(identity) == b"client"


async def test_one_on_its_way_to_a_row(rows: Rows) -> None:
    """Between flush and commit it is its transaction's."""
    async with rows.work() as work:
        document = Document(title="t", file=pending(b"old"))
        await work.add(document)
        await work.flush()
        assert document.file is not None
        upload = await staged(rows, document.file)
        with pytest.raises(PendingContentError, match="confirm it then"):
            await document.file.confirm_async()
        await work.commit()

        def held(session: Session) -> FileObject | None:
            return document.file

        file = await work.do(held)

    assert file is not None
    assert await file.get_content_async() == b"old"
    await rows.backend.delete(upload)


async def test_a_service_signs_none(rows: Rows) -> None:
    """What it signs is for a row that is written later."""
    await rows.add(title="t", file=pending(b"old"))
    (file,) = await taken(rows)
    async with service_of(rows) as (service, _):
        with pytest.raises(PendingContentError):
            await service.sign_upload(file, field="file")
