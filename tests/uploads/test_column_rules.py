"""What a column asks of its files holds for every way into it, in sync and async sessions, and costs nothing else."""

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import UploadFile
from sqlalchemy import Table, insert, select, update
from starlette.datastructures import Headers

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    FileService,
    ObstoreBackend,
    PendingContentError,
    StoredObject,
    TooManyFilesError,
    TypeMismatchError,
    UnsupportedUploadError,
    Upload,
    UploadError,
    UploadTooLargeError,
    storages,
)
from tests.intake.heads import HTML, NOISE, png
from tests.uploads.gallery import SCAN, VIRUS, Gallery, NoGif, OldPicture, Picture, VirusScan, make_engine, open_gallery

PNG = png()
BIG = PNG + b"\0" * 2**20


async def stream(content: bytes) -> AsyncIterator[bytes]:
    """Yield content in pieces."""
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def pieces(content: bytes) -> Iterator[bytes]:
    """Yield content in pieces."""
    yield from (content[start : start + 1000] for start in range(0, len(content), 1000))


def upload(content: bytes) -> Upload:
    """Return content as a route without rules gets it."""

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in stream(content):
            yield chunk

    return Upload(chunks(), filename="a.png", content_type="image/png")  # type: ignore[arg-type]


def upload_file(content: bytes) -> UploadFile:
    """Return content as FastAPI gives it."""
    return UploadFile(io.BytesIO(content), filename="a.png", headers=Headers({"content-type": "image/png"}))


def pending(content: Any) -> FileObject:
    """Return content as a file to be stored."""
    return FileObject(filename="a.png", content=content)


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


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the gallery, in memory."""
    backend = ObstoreBackend(key="gallery", fs="memory://")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("gallery")


@pytest.fixture(params=["sqlite-sync", "sqlite-async", "postgres-async"])
async def gallery(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> AsyncIterator[Gallery]:
    """Give each test a database of every kind."""
    async with open_gallery(make_engine(request.param, request, tmp_path), backend) as gallery:
        yield gallery


@pytest.fixture
async def quick(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> AsyncIterator[Gallery]:
    """Give a test one database."""
    async with open_gallery(make_engine("sqlite-async", request, tmp_path), backend) as gallery:
        yield gallery


@pytest.mark.parametrize("way", WAYS)
async def test_the_right_file_is_taken_whichever_way_it_comes(gallery: Gallery, way: str) -> None:
    """It is whole, and of its type."""
    identity = await gallery.add(image=WAYS[way](PNG))

    async with gallery.work() as work:
        image = await work.do(lambda session: session.get_one(Picture, identity).image)
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
        await work.do(lambda session: session.add(picture))
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
        image = await work.do(lambda session: session.get_one(Picture, identity).image)
        assert image is not None
        copy = await image.copy_async()
    SCAN.seen.clear()
    await quick.add(image=copy)

    assert SCAN.seen == []


# -- lists -----------------------------------------------------------------------------------------


def texts(*contents: bytes) -> list[FileObject]:
    """Return small texts to be stored."""
    return [FileObject(filename="a.txt", content=content) for content in contents]


async def test_a_list_has_so_many_files(gallery: Gallery) -> None:
    """The error has the limit and the number; none of the files is stored."""
    error = await gallery.refuse(TooManyFilesError, details=texts(b"a", b"b", b"c"))

    assert (error.limit, error.actual) == (2, 3)
    await gallery.add(details=texts(b"a", b"b"))


async def test_a_list_that_grows_in_place_has_so_many_files(gallery: Gallery) -> None:
    """An append past the limit is refused, and the list stays as it was."""
    identity = await gallery.add(details=texts(b"a", b"b"))
    with pytest.raises(TooManyFilesError):
        await gallery.change(identity, lambda picture: (picture.details or []).append(*texts(b"c")))

    assert len(await gallery.keys()) == 2


async def test_one_wrong_file_refuses_the_list(gallery: Gallery) -> None:
    """Its right neighbours go with it."""
    wrong = FileObject(filename="a.txt", content=b"x" * 5001)
    error = await gallery.refuse(UploadTooLargeError, details=[*texts(b"a"), wrong])

    assert (error.limit, error.actual) == (5000, 5001)


async def test_a_list_that_is_too_long_already_can_be_shortened(quick: Gallery) -> None:
    """A limit that came later keeps nobody from reading and removing, only from adding."""

    def shorten(picture: Picture) -> None:
        (picture.details or []).pop()

    async with quick.work() as work:
        old = OldPicture(details=texts(b"1", b"2", b"3", b"4"))
        await work.do(lambda session: session.add(old))
        await work.commit()
    await quick.change(old.id, shorten)
    with pytest.raises(TooManyFilesError):
        await quick.change(old.id, lambda picture: (picture.details or []).append(*texts(b"5")))

    assert len(await quick.keys()) == 3


# -- the details -----------------------------------------------------------------------------------


async def test_the_type_that_the_bytes_tell_is_kept(quick: Gallery) -> None:
    """A file that is declared as bytes, and whose name says nothing, is of the type that it is of."""
    identity = await quick.add(image=FileObject(filename="a", content_type="application/octet-stream", content=PNG))
    async with quick.work() as work:
        image = await work.do(lambda session: session.get_one(Picture, identity).image)

    assert image is not None
    assert image.content_type == "image/png"


async def test_a_type_that_is_not_taken_is_told(quick: Gallery) -> None:
    """All three types agree, on one that the column doesn't take."""
    error = await quick.refuse(UnsupportedUploadError, image=FileObject(filename="a.html", content=HTML))

    assert (error.actual, error.expected) == ("text/html", ("image/*",))


async def test_a_size_that_is_known_is_told(quick: Gallery) -> None:
    """Bytes are refused before any is read, a stream as soon as it is too long."""
    known = await quick.refuse(UploadTooLargeError, image=pending(BIG))
    streamed = await quick.refuse(UploadTooLargeError, image=pending(stream(BIG)))

    assert (known.limit, known.actual) == (2**20, len(BIG))
    assert (streamed.limit, streamed.actual) == (2**20, None)


async def test_a_refused_file_can_be_given_again(quick: Gallery) -> None:
    """Content that can be read again is refused again, an upload that was read is not half stored."""
    file, once = pending(HTML), FileObject(filename="a.png", content=upload(HTML))
    for _ in range(2):
        await quick.refuse(TypeMismatchError, image=file)
    await quick.refuse(TypeMismatchError, image=once)

    with pytest.raises(Exception, match="only once"):
        await FileObject("gallery", "b", content=once._content).save_async()  # noqa: SLF001
    assert await quick.keys() == set()


async def test_validators_see_as_much_as_they_are_promised(quick: Gallery) -> None:
    """The head is 64 KiB however small the pieces are that it comes in; the stored object has its size."""
    heads: list[int] = []

    class Look:
        async def validate(self, head: bytes, upload: Any) -> None:
            heads.append(len(head))

    rules = StoredObject(validators=[Look()]).rules
    file = FileObject("gallery", "a", content=pieces(b"x" * 100_000))
    file.assign(None, storages, rules)
    await (await file.save_async()).delete_async()
    SCAN.seen.clear()
    await quick.add(image=pending(PNG))

    assert heads == [64 * 1024]
    assert SCAN.seen == [("a.png", len(PNG))]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"max_size": "10 M"}, "not a size"),
        ({"content_types": ["png"]}, "no media type"),
        ({"content_types": "image/png"}, "are a list"),
        ({"max_files": 3}, "multiple=True"),
        ({"max_files": 0, "multiple": True}, "max_files is 0"),
        ({"backend": 5}, "backend=5.*key of a registered backend"),
        ({"backend": ObstoreBackend("a", "memory://")}, "key of a registered backend"),
        ({"validators": [NoGif]}, "NoGif is no validator"),
        ({"validators": [print]}, "is no validator"),
    ],
)
def test_a_column_that_can_not_work_is_told_at_once(wrong: dict[str, Any], told: str) -> None:
    """What is wrong is refused where it is written, with the remedy."""
    with pytest.raises(ConfigurationError, match=told):
        StoredObject(**wrong)


def test_rules_are_nothing_to_migrations_and_caches() -> None:
    """The type is rendered, copied and cached as it is without rules."""
    plain, ruled = StoredObject("a"), StoredObject("a", sniff=True, max_size=1, validators=[NoGif(), VirusScan()])

    assert repr(ruled) == repr(plain)
    assert ruled.copy().rules is ruled.rules
    assert select(Picture.image)._generate_cache_key() is not None  # noqa: SLF001 - what a cache would say
