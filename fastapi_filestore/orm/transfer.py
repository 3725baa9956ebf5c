"""Moving the bytes of several files at once: all stored or the first error, and deletions that never raise."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.file_object import FileObject, FileState
from fastapi_filestore.storage.cleanup import finish

UPLOADS_AT_ONCE = 8
"""Files of one flush on their way at once; each takes the memory of its parts in flight."""

_log = logging.getLogger("fastapi_filestore")


async def store(files: Collection[FileObject]) -> None:
    """Store the bytes of pending files and confirm those that a client stored; the first failure stops the others."""
    gate = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def settle(file: FileObject) -> None:
        async with gate:
            await (file.confirm_async() if file.state is FileState.RESERVED else file.save_async())

    tasks = [asyncio.create_task(settle(file)) for file in files if not file.is_stored]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def discard(files: Iterable[FileObject]) -> None:
    """Delete the bytes of files that no row points to; a failure is logged, for the transaction is over."""
    for backend, group in _by_backend(files).items():
        try:
            await finish(group[0].backend_in_use().delete(*(file.path for file in group if file.path)))
        except FilestoreError as error:
            _log.warning(
                "fastapi_filestore.discard_failed",
                extra={"backend": backend, "paths": [file.path for file in group], "error": repr(error)},
            )


def _by_backend(files: Iterable[FileObject]) -> dict[str | None, list[FileObject]]:
    groups: dict[str | None, list[FileObject]] = defaultdict(list)
    for file in files:
        groups[file.backend].append(file)
    return groups
