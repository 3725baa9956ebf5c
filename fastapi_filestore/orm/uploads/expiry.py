"""End uploads whose time is over: their rows go, and the ledger learns which objects have to follow."""

from typing import Final

from sqlalchemy import Connection, and_, delete, false, or_, select, update

from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.ledger import Ledger
from fastapi_filestore.orm.uploads.tables import UploadTables

BATCH: Final = 200
"""Uploads that one transaction ends."""


def end_expired(connection: Connection, *, tables: UploadTables, ledger: Ledger, batch: int = BATCH) -> int:
    """End uploads that nobody has touched for as long as they last, and return how many.

    Whoever holds one meanwhile finds its row gone: the fence of what it commits hits nothing.
    """
    uploads, segments = tables.uploads, tables.segments
    if connection.dialect.name == "sqlite":
        connection.execute(update(uploads).values(fence=uploads.c.fence).where(false()))
    now = connection.execute(select(database_time())).scalar_one()
    expired = connection.execute(
        select(uploads.c.id, uploads.c.fence, uploads.c.file)
        .where(uploads.c.expires <= now)
        .order_by(uploads.c.expires)
        .limit(batch)
        .with_for_update(skip_locked=True)
    ).all()
    if not expired:
        return 0
    identities = [row.id for row in expired]
    parts = connection.execute(select(segments.c.file).where(segments.c.upload_id.in_(identities))).scalars()
    files: list[FileObject] = [*(row.file for row in expired if row.file is not None), *parts]
    locations = list[Location](dict.fromkeys(file.location for file in files))
    connection.execute(delete(segments).where(segments.c.upload_id.in_(identities)))
    held = or_(*(and_(uploads.c.id == row.id, uploads.c.fence == row.fence) for row in expired))
    connection.execute(delete(uploads).where(held))
    ledger.purge(connection, locations)
    return len(expired)
