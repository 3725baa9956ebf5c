"""Hold the bytes of an upload against the digest that its client announced."""

from contextlib import aclosing

from fastapi_filestore.errors import UploadDigestError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.digests import sha256_of


async def compare_digest(file: FileObject, announced: str | None) -> None:
    """Raise `UploadDigestError` unless a stored file has the SHA-256 that was announced, if one was.

    What nobody digested when it was stored is read for that, once.
    """
    if announced is None:
        return
    if file.checksum is None:
        async with aclosing(await file.open_async()) as stream:
            file.checksum = await sha256_of(stream)
    if file.checksum != announced:
        raise UploadDigestError(announced=announced, actual=file.checksum)
