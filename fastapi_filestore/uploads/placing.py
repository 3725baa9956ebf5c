"""Bring complete uploads to the folders that columns choose by the row that takes them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.storage.paths import folder_of
from fastapi_filestore.storage.prefixes import NOTHING_KNOWN, Values
from fastapi_filestore.uploads.open_uploads import OpenUploads


@asynccontextmanager
async def placing(
    uploads: OpenUploads, identities: Sequence[str], *, identity: object = None, values: Values = NOTHING_KNOWN
) -> AsyncIterator[Mapping[str, FileObject]]:
    """Give the block, which writes a row, copies of those uploads that lie elsewhere than the row's column wants them.

    The row is one that is there, of an `identity`, or a new one of some values. Copies are made inside the store, ahead
    of the row's transaction. Those that no row takes are deleted, and their uploads are as they were.

    Raises:
        UploadNotFoundError: One of them has ended meanwhile.
        ConfigurationError: A folder is chosen by what is not known of the row.
    """
    service, placed = uploads.service, dict[str, FileObject]()
    is_by_row = any(callable(target.attribute.type.folder) for target in uploads.targets.values())
    async with AsyncExitStack() as stack:
        for upload in identities if is_by_row else ():
            row = await uploads.find_any(upload)
            (field, target), file = uploads.target_of(row), row.file
            if file is None or isinstance(target.attribute.type.folder, str):
                continue
            if folder_of(str(file.path)) != await service.folder_of(field, identity=identity, values=values):
                storing = service.storing(file.plan_copy(), field=field, identity=identity, values=values)
                placed[upload] = await stack.enter_async_context(storing)
                placed[upload].checksum = file.checksum
        yield placed
