"""The service's ways to write rows."""

from contextlib import suppress

from fastapi_filestore import RowConflictError
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
