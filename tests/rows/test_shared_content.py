"""One client's file that is given to several files of a row."""

from os import urandom
from tempfile import SpooledTemporaryFile

from starlette.datastructures import UploadFile

from fastapi_filestore import FileObject
from fastapi_filestore.storage.content import READ_SIZE
from tests.rows.conftest import Rows

BODY = urandom(3 * READ_SIZE + 1)


async def test_an_upload_in_many_places(rows: Rows) -> None:
    """An UploadFile that a row holds ten times is stored whole each time, by one flush."""
    with SpooledTemporaryFile(max_size=1) as spool:
        spool.write(BODY)
        upload = UploadFile(spool, filename="a.bin")  # type: ignore[arg-type]
        files = [FileObject(content=upload) for _ in range(10)]
        await rows.add(title="t", file=files[0], pages=files[1:])

    assert [await file.get_content_async() == BODY for file in files] == [True] * 10
