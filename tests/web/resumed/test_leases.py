"""Several who write to one upload: whoever comes last is served, and what the others brought before is kept."""

import asyncio

import pytest
from sqlalchemy import update

from fastapi_filestore import StorageBackend
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.orm.uploads import leases
from tests.web.resumed.conftest import Open, held, stored
from tests.web.resumed.replicas import UPLOADS, Replica, clock_ahead

BOTH = pytest.mark.parametrize("url", ["sqlite+aiosqlite", "sqlite", "postgresql+asyncpg"], indirect=True)


@BOTH
async def test_a_newcomer_is_served_beside_a_client_that_hangs(site: Replica, run: Open) -> None:
    """Another process tells how far the upload is, and takes more of it once what came first is kept."""
    async with run() as other:
        path = await site.begin(10)
        hanging = site.sending(path, 0, b"0123")
        await hanging.read()
        before = await other.offset(path)
        refused = await other.patch(path, 0, b"0123456789")
        after = await other.offset(path)
        taken = await other.patch(path, 4, b"456789")

        assert (before, refused.status_code, after, taken.status_code) == (0, 409, 4, 204)
        assert await hanging.end() == 204
        assert (await other.claim(path)).content == b"0123456789"


async def test_a_question_disturbs_nobody(site: Replica, run: Open) -> None:
    """HEAD and GET of another process leave a request that goes on alone."""
    async with run() as other:
        path = await site.begin(4)
        sending = site.sending(path, 0, b"01")
        await sending.read()
        assert await other.offset(path) == 0
        assert (await other.client.get(path)).json()["state"] == "open"
        await asyncio.sleep(2 * leases.LOOK_SECONDS)
        sending.send(b"23", more=False)

        assert (await sending.end(), await other.offset(path)) == (204, 4)


@BOTH
async def test_what_a_stale_holder_brings_is_nobodys(site: Replica, backend: StorageBackend) -> None:
    """Who was followed by another hits no row any more, and the object goes."""
    path = await site.begin(10)
    stale = site.sending(path, 0, b"0123")
    await stale.read()

    def follow(connection: object) -> None:
        table = UPLOADS.uploads
        connection.execute(update(table).values(fence=table.c.fence + 1, holder=None, lease=0.0))  # type: ignore[attr-defined]

    await run_on_engine(site.engine, follow)
    taken = await site.patch(path, 0, b"abc")
    stale.send(b"456789", more=False)

    assert taken.status_code == 204
    assert await stale.end() == 404
    assert await site.offset(path) == 3
    assert await stored(backend) == await held(site)
    assert (await site.patch(path, 3, b"3456789")).status_code == 204
    assert (await site.claim(path)).content == b"abc3456789"


@pytest.mark.parametrize("ahead", [600, -600])
async def test_clocks_that_differ(site: Replica, run: Open, ahead: float) -> None:
    """Processes whose clocks are ten minutes apart take turns all the same, and no byte is mixed up."""
    async with run(begun=clock_ahead(ahead)) as other:
        path, offset = await site.begin(10), 0
        for one, another in ((site, other), (other, site)):
            hanging = one.sending(path, offset, b"0123456789"[offset : offset + 2])
            await hanging.read()
            while (await another.patch(path, offset, b"0123456789"[offset : offset + 1])).status_code != 204:
                offset = await another.offset(path)
            offset = await another.offset(path)
            hanging.vanish()
            assert await hanging.end() in {204, 404}
        assert (await other.patch(path, offset, b"0123456789"[offset:])).status_code == 204
        assert (await site.claim(path)).content == b"0123456789"


@pytest.mark.parametrize("ahead", [0, -600], ids=["same clock", "clock of ten minutes ago"])
async def test_a_process_that_is_gone_is_followed(
    site: Replica, run: Open, ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody renews its lease: the upload is taken when that is over, by whichever clock."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)
    async with run(begun=clock_ahead(ahead)) as other:
        path = await site.begin(4)
        attempt = leases.Attempt(UPLOADS, path.rpartition("/")[2], UPLOADS.uploads.c.fence >= 0, 0, None)
        await attempt.take(site.engine)

        assert (await other.patch(path, 0, b"0123")).status_code == 204


def find_nothing(keeper: object, connection: object) -> list[leases.Lease]:
    """See nobody who wants anything."""
    return []


async def test_a_holder_is_not_followed_while_it_renews(
    site: Replica, run: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that can't let go at once is waited for, and then the newcomer is told that it is busy."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(leases, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(leases, "RENEWED_EVERY", 2)
    monkeypatch.setattr(leases.Keeper, "_find_wanted", find_nothing)
    async with run() as other:
        path = await site.begin(4)
        sending = site.sending(path, 0, b"01")
        await sending.read()
        busy = await other.patch(path, 0, b"0123")
        sending.send(b"23", more=False)

        assert busy.status_code == 423
        assert busy.headers["retry-after"]
        assert (await sending.end(), await other.offset(path)) == (204, 4)


@BOTH
async def test_two_at_once(site: Replica, run: Open) -> None:
    """Of the same bytes at the same time one is taken; in the end the upload is what was sent."""
    async with run() as other:
        path = await site.begin(10)
        answers = await asyncio.gather(*(each.patch(path, 0, b"01234") for each in (site, other, site, other)))
        statuses = sorted(answer.status_code for answer in answers)

        assert statuses == [204, 409, 409, 409]
        assert (await other.patch(path, 5, b"56789")).status_code == 204
        assert (await site.claim(path)).content == b"0123456789"


@BOTH
async def test_an_upload_that_ends_while_bytes_come(site: Replica, run: Open, backend: StorageBackend) -> None:
    """It is gone, what comes of it goes, and others are not kept waiting."""
    async with run() as other:
        path = await site.begin(10)
        sending = site.sending(path, 0, b"0123")
        await sending.read()
        ended = await other.client.delete(path, headers={"Tus-Resumable": "1.0.0"})

        sending.vanish()

        assert ended.status_code == 204
        assert await sending.end() == 404
        assert (await other.offset(path), await stored(backend)) == (-404, set())
