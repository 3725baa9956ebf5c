"""What a column asks of its files holds for every way into it, in sync and async sessions, and costs nothing else."""

import io
from typing import Any, cast

import pytest
from fastapi import UploadFile
from sqlalchemy import Table, insert, update
from starlette.datastructures import Headers

from fastapi_filestore import (
    FileObject,
    FileService,
    PendingContentError,
    TypeMismatchError,
    UnsupportedUploadError,
    UploadError,
    UploadTooLargeError,
)
from tests.intake.heads import HTML, NOISE
from tests.uploads.gallery import SCAN, VIRUS, Gallery, Picture
from tests.uploads.ways_into_columns import BIG, PNG, backend, gallery, pending, pieces, quick, stream, upload

__all__ = ["backend", "gallery", "quick"]


def upload_file(content: bytes) -> UploadFile:
    """Return content as FastAPI gives it."""
    return UploadFile(io.BytesIO(content), filename="a.png", headers=Headers({"content-type": "image/png"}))


WAYS: dict[str, Any] = {
    "bytes": pending,
    "file": lambda content: pending(io.BytesIO(content)),
    "iterator": lambda content: pending(pieces(content)),
    "stream": lambda content: pending(stream(content)),
    "upload": upload,
    "upload file": upload_file,
}


REFUSED = {
    "size": (BIG, UploadTooLargeError),
    "type": (HTML, TypeMismatchError),
    "head": (b"GIF89a" + NOISE, UploadError),
    "object": (PNG + NOISE + VIRUS, UploadError),
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_right_file_is_taken_whichever_way_it_comes(gallery: Gallery, way: str) -> None:
    """It is whole, and of its type."""
    identity = await gallery.add(image=WAYS[way](PNG))

    async with gallery.work() as work:
        image = (await work.get(Picture, identity)).image
        assert image is not None
        assert (await image.get_content_async(), image.content_type) == (PNG, "image/png")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", REFUSED)
async def test_the_wrong_file_is_refused_whichever_way_it_comes(gallery: Gallery, way: str, case: str) -> None:
    """Nothing is left of it in the store or in the database, and the session is usable after its rollback."""
    content, error = REFUSED[case]

    await gallery.refuse(error, image=WAYS[way](content))


@pytest.mark.parametrize("case", REFUSED)
async def test_the_service_refuses_alike(gallery: Gallery, case: str) -> None:
    """Through the service nothing is left even before the rollback."""
    content, error = REFUSED[case]
    async with gallery.work() as work:
        service = FileService(work.session, model=Picture)
        with pytest.raises(error):
            await service.create({"image": pending(content), "anything": pending(NOISE)})
        assert await gallery.keys() == set()
        await service.rollback()
        await service.create({"image": pending(PNG)})
        await service.commit()

    assert len(await gallery.keys()) == 1


@pytest.mark.parametrize("case", REFUSED)
async def test_a_file_that_was_stored_before_is_judged_at_the_flush(gallery: Gallery, case: str) -> None:
    """Saved by hand, it has been seen by nobody; refused, it goes with the rollback."""
    content, error = REFUSED[case]
    saved = await FileObject("gallery", "a.png", content=content).save_async()
    async with gallery.work() as work:
        picture = Picture(image=saved)
        await work.add(picture)
        with pytest.raises(error):
            await work.commit()
        await work.rollback()

    assert await gallery.keys() == set()


async def test_a_right_file_that_was_stored_before_is_taken(gallery: Gallery) -> None:
    """Its first bytes are read back from the store, of an empty object as well."""
    saved = await FileObject("gallery", "a.png", content=PNG).save_async()
    empty = await FileObject("gallery", "a.txt", content=b"").save_async()
    await gallery.add(image=saved, details=[empty])

    assert len(await gallery.keys()) == 2


async def test_a_file_that_moves_is_judged_by_its_new_column(gallery: Gallery) -> None:
    """What one column took is not yet right for another; refused, it stays where it was."""
    identity = await gallery.add(anything=FileObject(filename="a.html", content=HTML))

    def move(picture: Picture) -> None:
        picture.image, picture.anything = picture.anything, None

    with pytest.raises(UnsupportedUploadError):
        await gallery.change(identity, move)

    assert len(await gallery.keys()) == 1
    await gallery.check()


async def test_a_file_that_a_client_stored_is_judged(gallery: Gallery) -> None:
    """Bytes that came by an upload URL are judged when a row is to have them."""
    await gallery.backend.put("direct", HTML)
    await gallery.refuse_object(FileObject("gallery", "a.png", path="direct"))
    await gallery.backend.delete("direct")


async def test_bulk_statements_are_judged(gallery: Gallery) -> None:
    """An insert and an update of many rows are ways into the column, too."""
    identity = await gallery.add()
    statements = [
        lambda session: session.execute(insert(Picture), [{"image": pending(PNG)}, {"image": pending(HTML)}]),
        lambda session: session.execute(update(Picture).where(Picture.id == identity).values(image=pending(HTML))),
    ]
    for statement in statements:
        async with gallery.work() as work:
            with pytest.raises(TypeMismatchError):
                await work.do(statement)
            await work.rollback()

    assert await gallery.keys() == set()


async def test_a_statement_that_nobody_sees_is_refused(quick: Gallery) -> None:
    """A plain connection writes no file that no rule was held against."""
    saved = await FileObject("gallery", "a.png", content=PNG).save_async()
    async with quick.engine.connect() as connection:  # type: ignore[union-attr]
        with pytest.raises(Exception, match="nobody held it against the rules") as caught:
            await connection.execute(insert(cast("Table", Picture.__table__)), {"image": saved})
    await saved.delete_async()

    assert isinstance(caught.value.__cause__ or caught.value, PendingContentError)


async def test_what_is_in_a_row_already_is_not_judged_again(quick: Gallery) -> None:
    """A change of other files, of metadata, or of nothing reads no object."""
    identity = await quick.add(image=pending(PNG), details=[FileObject(filename="a.txt", content=b"a")])
    SCAN.seen.clear()

    def change(picture: Picture) -> None:
        assert picture.image is not None
        assert picture.details is not None
        picture.image.metadata["seen"] = "yes"
        picture.anything = pending(b"x")
        picture.details.append(FileObject(filename="b.txt", content=b"b"))

    await quick.change(identity, change)

    assert SCAN.seen == []


async def test_a_copy_is_as_right_as_its_original(quick: Gallery) -> None:
    """The same bytes in the same column are not read again."""
    identity = await quick.add(image=pending(PNG))
    async with quick.work() as work:
        image = (await work.get(Picture, identity)).image
        assert image is not None
        copy = await image.copy_async()
    SCAN.seen.clear()
    await quick.add(image=copy)

    assert SCAN.seen == []
