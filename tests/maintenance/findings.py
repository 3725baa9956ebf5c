"""What an audit found, and stores that hang or are watched while it looks."""

from uuid import UUID

from fastapi_filestore import (
    FileObject,
)
from tests.maintenance.conftest import Site


async def record(site: Site, identity: UUID) -> FileObject:
    """Return the file of a report as the database has it."""
    async with site.service() as service:
        return await service.file(identity, field="file")
