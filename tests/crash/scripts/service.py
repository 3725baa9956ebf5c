"""The service's ways to write rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import inspect

from fastapi_filestore import FileObject, FileService, RowConflictError, storages
from fastapi_filestore.orm.ledger.reservations import expect_upload
from fastapi_filestore.storage.paths import generate_once_path
from fastapi_filestore.storage.signing import UrlSigner
from tests.crash.application import Application, Work
from tests.crash.models import Document, pending
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


@asynccontextmanager
async def _pages(application: Application) -> AsyncIterator[tuple[FileService[Document], int, list[str]]]:
    """Open a unit of work on the list of the first row, with the ids of its files."""
    async with application.work() as work:
        identity = await _identity(work, "one")
        async with work.service().unit_of_work() as service:
            files = await service.listed_files(identity, field="pages")
            yield service, identity, [str(file.id) for file in files]


@script(2)
async def service_append(application: Application) -> None:
    """The service's way to add to a list."""
    async with _pages(application) as (service, identity, _):
        await service.append(identity, [pending("fourth"), pending("fifth")], field="pages")


@script(0)
async def service_exchange(application: Application) -> None:
    """The service's way to put another file in the place of one of a list."""
    async with _pages(application) as (service, identity, ids):
        await service.exchange(identity, ids[1], pending("exchanged"), field="pages")


@script(-1)
async def service_remove(application: Application) -> None:
    """The service's way to take one out of a list, and to put the others in another order."""
    async with _pages(application) as (service, identity, ids):
        await service.remove(identity, await service.listed_file(identity, ids[0], field="pages"), field="pages")
        await service.reorder(identity, ids[:0:-1], field="pages")


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


async def _store_once_as_client(application: Application) -> FileObject:
    """Let the ledger know of an upload URL that writes once, and store as its holder would."""
    file = FileObject(filename="client.txt", path=generate_once_path("", 3600))
    column: Any = Document.__table__.c.file.type
    column.files(file)
    until = datetime.now(UTC) + timedelta(hours=1)
    async with application.work() as work:
        await work.do(lambda session: expect_upload(session, inspect(Document), file, until=until))
        await work.commit()
    await storages.get_backend(file.backend).put(str(file.path), b"client")
    return file


@script(1)
async def service_upload_once(application: Application) -> None:
    """A row that the database refuses leaves what a client stored once, and another one takes it where it lies."""
    file = await _store_once_as_client(application)
    async with application.work() as work:
        with suppress(RowConflictError):
            async with work.service().unit_of_work() as service:
                await service.create({"title": "one", "file": file})
        async with work.service().unit_of_work() as service:
            await service.create({"title": "uploaded", "file": file})


@script(0)
async def service_upload_once_and_delete(application: Application) -> None:
    """What a client stored once goes with its row, and what it stores after that goes by the intent that stays."""
    file = await _store_once_as_client(application)
    async with application.work() as work:
        async with work.service().unit_of_work() as service:
            identity = (await service.create({"title": "uploaded", "file": file})).id
        async with work.service().unit_of_work() as service:
            await service.delete(identity)
    await storages.get_backend(file.backend).put(str(file.path), b"again")
    await storages.get_backend(file.backend).delete(str(file.path))
