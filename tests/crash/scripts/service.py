"""The service's ways to write rows."""

from contextlib import suppress

from fastapi_filestore import FileObject, RowConflictError, storages
from fastapi_filestore.storage.signing import UrlSigner
from tests.crash.application import Application, Work
from tests.crash.models import pending
from tests.crash.scripts.script import script


async def _identity(work: Work, title: str) -> int:
    identity = (await work.document(title)).id
    await work.rollback()
    return identity


@script(2)
async def service_create(application: Application) -> None:
    """The service's way to add a row."""
    async with application.work() as work, work.service().unit_of_work() as service:
        await service.create({"title": "new", "file": pending("new"), "pages": [pending("new page")]})


@script(0)
async def service_update(application: Application) -> None:
    """The service's way to replace a file."""
    async with application.work() as work:
        identity = await _identity(work, "one")
        async with work.service().unit_of_work() as service:
            await service.update(identity, {"title": "renamed", "file": pending("replaced")})


@script(-4)
async def service_delete(application: Application) -> None:
    """The service's way to delete a row."""
    async with application.work() as work:
        identity = await _identity(work, "one")
        async with work.service().unit_of_work() as service:
            await service.delete(identity)


@script(0)
async def service_conflict(application: Application) -> None:
    """A row that the database refuses to the service."""
    async with application.work() as work:
        with suppress(RowConflictError):
            async with work.service().unit_of_work() as service:
                await service.create({"title": "one", "file": pending("refused")})


async def _store_as_client(application: Application) -> FileObject:
    """Sign an upload URL, and store as its holder would."""
    storages.signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/filestore?sig=")
    file = FileObject(filename="client.txt")
    async with application.work() as work, work.service().unit_of_work() as service:
        await service.sign_upload(file, field="file")
    await storages.get_backend(file.backend).put(str(file.path), b"client")
    return file


@script(1)
async def service_upload(application: Application) -> None:
    """The service's way to take what a client stored by an upload URL."""
    file = await _store_as_client(application)
    async with application.work() as work, work.service().unit_of_work() as service:
        await service.create({"title": "uploaded", "file": file})


@script(1)
async def service_upload_again(application: Application) -> None:
    """A row that the database refuses gives up its copy, and another one takes one; the client stores once more."""
    file = await _store_as_client(application)
    upload = str(file.path)
    async with application.work() as work:
        with suppress(RowConflictError):
            async with work.service().unit_of_work() as service:
                await service.create({"title": "one", "file": file})
        async with work.service().unit_of_work() as service:
            await service.create({"title": "uploaded", "file": file})
    await storages.get_backend(file.backend).put(upload, b"evil")
    await storages.get_backend(file.backend).delete(upload)
