"""What clients stored by upload URLs and nobody took: audits and sweeps know how long it may still be taken."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from fastapi_filestore import FileObject, storages
from fastapi_filestore.storage.paths import generate_upload_path
from fastapi_filestore.storage.signing import UrlSigner
from tests.maintenance.conftest import Site, briefly

DAY = 24 * 3600


@pytest.fixture(autouse=True)
def signer() -> Iterator[None]:
    """The application signs."""
    storages.signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/filestore?sig=")
    yield
    storages.signer = None


async def test_an_audit_waits_for_the_urls_end(site: Site) -> None:
    """What a bare file signed is an orphan when its URL, and the grace after that, are over, however old it is."""
    open_still, just_over, over = [generate_upload_path(seconds) for seconds in (DAY, -3602, -2 * DAY)]
    for path in (open_still, just_over, over):
        site.place(path, age=timedelta(days=30))
    young = generate_upload_path(-2 * DAY)
    site.place(young, age=timedelta(hours=1))
    found = await site.audit(fix=["orphan"])

    assert briefly(found) == [("orphan", over, True)]
    assert site.objects() == {open_still, just_over, young}
    assert sorted(one.path or "" for one in await site.audit(grace=0)) == sorted([just_over, young])


async def test_many_that_are_open_do_not_keep_orphans(site: Site) -> None:
    """What clients may still be storing does not count among the orphans that are too many to be deleted."""
    for _ in range(5):
        site.place(generate_upload_path(DAY))
    site.place("ab/stray")
    found = await site.audit(fix=["orphan"], at_most=1)

    assert briefly(found) == [("orphan", "ab/stray", True)]
    assert len(site.objects()) == 5


async def test_the_ledger_knows_what_the_service_signed(site: Site) -> None:
    """No audit takes it for an orphan; once it is due, a sweep clears it away, and the row keeps its copy."""
    file = FileObject(filename="a.txt")
    async with site.service() as service:
        await service.sign_upload(file, field="file", expires_in=60)
        await service.commit()
    upload = str(file.path)
    site.place(upload, b"client", age=timedelta(days=30))
    assert await site.audit(grace=0) == []
    assert await site.sweep() == []
    row = await site.add(file=FileObject("shelf", "a.txt", path=upload))
    site.place(upload, b"again")
    assert await site.audit(grace=0) == []
    await site.let_fall_due()
    swept = await site.sweep()

    assert (upload, None, True) in [(one.path, one.error, one.is_upload) for one in swept]
    assert site.objects() == {row.file.path}
    assert await site.audit(grace=0, verify=True) == []


async def test_a_row_that_never_comes(site: Site) -> None:
    """An upload that nobody took goes, its intent stays for another; a file that comes too late is told so."""
    file = FileObject(filename="a.txt")
    async with site.service() as service:
        await service.sign_upload(file, field="file", expires_in=60)
        await service.commit()
    site.place(str(file.path), b"client")
    await site.let_fall_due()
    await site.sweep()

    assert site.objects() == set()
    assert await site.intents() == {file.path}
    with pytest.raises(FileNotFoundError):
        await site.add(file=FileObject("shelf", "a.txt", path=file.path))


async def test_a_service_that_is_rolled_back(site: Site) -> None:
    """The intent comes with the commit, before anybody is given the URL, and not without it."""
    async with site.service() as service:
        await service.sign_upload(FileObject(filename="a.txt"), field="file")
        await service.rollback()

    assert await site.intents() == set()
