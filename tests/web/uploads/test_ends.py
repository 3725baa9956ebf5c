"""Uploads that nobody goes on with end: their rows and their bytes go, and what a row has taken stays."""

from typing import Any

from sqlalchemy import update

from fastapi_filestore import FileObject, StorageUnavailableError, Swept, sweep
from tests.web.models import LEDGER, UPLOADS
from tests.web.site import Site, problem_in
from tests.web.uploading import begin, put, send
from tests.web.uploads.test_claims import EVERYWHERE

HOUR = 3600.0


async def pass_time(site: Site, seconds: float) -> None:
    """Let everything that falls due do so earlier, as if time had passed."""
    async with site.session() as session:
        for table, column in ((UPLOADS.uploads, "expires"), (LEDGER.table, "due_at")):
            changed = session.execute(update(table).values({column: table.c[column] - seconds}))
            await changed if hasattr(changed, "__await__") else None
        committed = session.commit()
        await committed if hasattr(committed, "__await__") else None


async def swept(site: Site) -> list[Swept]:
    """Sweep once."""
    async with site.session() as session:
        return [intent async for intent in sweep(session.get_bind().engine, LEDGER)]


@EVERYWHERE
async def test_what_nobody_goes_on_with_ends(site: Site) -> None:
    """After a day without activity sweeps end uploads of every state, and their bytes go."""
    uploads = [await begin(site.client), await send(site.client), await send(site.client)]
    await site.client.post(f"{uploads[2]['url']}/complete")
    await pass_time(site, 23 * HOUR)
    await swept(site)
    assert [(await site.client.get(upload["url"])).status_code for upload in uploads] == [200] * 3
    assert len(await site.keys()) == 2
    await pass_time(site, 2 * HOUR)
    gone = await site.client.post("/documents/", json={"title": "t", "upload": uploads[2]["id"]})
    await swept(site)
    await pass_time(site, HOUR)
    await swept(site)

    problem_in(gone, 404, "upload-not-found")  # before a sweep has come, too
    assert await site.rows(UPLOADS.upload) == 0
    await site.check_empty()


@EVERYWHERE
async def test_what_a_row_has_taken_stays(site: Site) -> None:
    """Sweeps hours and days later leave it alone, and forget after a day which row has taken what."""
    upload = await send(site.client)
    location = (await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})).headers["location"]
    for hours in (2, 23, 48):
        await pass_time(site, hours * HOUR)
        await swept(site)
        assert (await site.client.get(f"{location}/file")).content == b"content"
        await site.check()
    again = await site.client.post("/documents/", json={"title": "u", "upload": upload["id"]})

    problem_in(again, 404, "upload-not-found")
    assert await site.rows(UPLOADS.upload) == 0


async def test_what_is_stored_again_goes(site: Site) -> None:
    """A client that stores once more by its URL, after the claim, the end and the row's, leaves nothing for good."""
    claimed, ended = await send(site.client), await send(site.client)
    location = (await site.client.post("/documents/", json={"title": "t", "upload": claimed["id"]})).headers["location"]
    await site.client.delete(ended["url"])
    await site.client.delete(location)
    assert [(await put(site.client, upload, b"again")).status_code for upload in (claimed, ended)] == [201, 201]
    assert len(await site.keys()) == 2
    await pass_time(site, 26 * HOUR)
    await swept(site)

    await site.check_empty()


async def test_a_store_that_fails_leaves_the_upload(site: Site, monkeypatch: Any) -> None:
    """An outage while it is completed is a 503, nothing is left behind, and the next try succeeds."""
    upload = await send(site.client)

    async def fail(*_: object, **__: object) -> None:
        raise StorageUnavailableError("The store is away.")

    with monkeypatch.context() as away:
        away.setattr(type(site.backend), "copy", fail)
        answer = await site.client.post(f"{upload['url']}/complete")
        claimed = await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})

    assert (answer.status_code, claimed.status_code) == (503, 503), answer.text
    assert len(await site.keys()) == 1
    assert (await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})).status_code == 201


async def test_a_row_of_an_upload_is_like_any_other(site: Site) -> None:
    """Its file is copied, read and replaced by programs."""
    upload = await send(site.client)
    await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})
    (path,) = await site.keys()
    copied = await FileObject("web", "b.txt", path=path).copy_async()

    assert await copied.get_content_async() == b"content"
    await copied.delete_async()
