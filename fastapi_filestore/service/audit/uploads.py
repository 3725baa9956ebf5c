"""Search for uploads that never ended: no listing shows them, and no row can hold them any more."""

from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from fastapi_filestore.errors import ConfigurationError, StorageError
from fastapi_filestore.service.audit.findings import (
    Finding,
    FindingKind,
    Position,
    finding_at,
    report_repair,
    unchecked,
)
from fastapi_filestore.service.audit.inventory import batches
from fastapi_filestore.service.audit.orphans import SUSPECTS_AT_ONCE, locations
from fastapi_filestore.service.audit.references import ObjectLocation
from fastapi_filestore.service.audit.shared import places_of
from fastapi_filestore.service.audit.tables import Database, Known
from fastapi_filestore.storage.backend import UnfinishedUploads
from fastapi_filestore.storage.registry import StorageRegistry


@dataclass(frozen=True, slots=True)
class UnfinishedSearch:
    """Looks for unfinished uploads in stores that can tell of them.

    Attributes:
        registry: Where backends are looked up.
        known: The databases.
        before: When an upload began, at the latest.
        stage: The stage of the audit that this is.
    """

    registry: StorageRegistry
    known: Known
    before: datetime
    stage: int

    async def findings(self, keys: Callable[[], Iterable[str]], *, fixes: bool) -> AsyncGenerator[Finding, None]:
        """Yield a finding for each upload to some backends that no row, and no ledger, knows of; or end it."""
        for key in keys():
            backend = self.registry.get_backend(key)
            if not isinstance(backend, UnfinishedUploads):
                continue
            try:
                async for uploads in batches(backend.unfinished_uploads(), SUSPECTS_AT_ONCE):
                    old = [upload for upload in uploads if upload.started < self.before]
                    live = await locations(self.known, Database.intended, [upload.path for upload in old])
                    # Another program may have given a name to an object that only looks like what an upload left.
                    names = [ObjectLocation(key, upload.name) for upload in old if upload.name is not None]
                    held = await places_of(self.known, names)
                    for upload in old:
                        if (key, upload.path) in live or (key, upload.name) in held:
                            continue
                        position = Position(self.stage, key, upload.path)
                        finding = partial(finding_at, FindingKind.UNFINISHED_UPLOAD, position)
                        detail = f"It began at {upload.started} and never ended."
                        if fixes:
                            yield await report_repair(finding, detail, backend.abort_upload(upload))
                        else:
                            yield finding(detail=detail)
            except (ConfigurationError, StorageError) as error:
                yield unchecked(Position(self.stage, key), error)
