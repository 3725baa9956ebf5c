"""What a column asks of the number of its files, of their types and sizes, and what its validators see."""

from typing import Any

import pytest
from sqlalchemy import select

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    ObstoreBackend,
    StoredObject,
    TooManyFilesError,
    TypeMismatchError,
    UnsupportedUploadError,
    UploadTooLargeError,
    storages,
)
from tests.intake.heads import HTML
from tests.uploads.gallery import SCAN, Gallery, NoGif, OldPicture, Picture, VirusScan
from tests.uploads.ways_into_columns import BIG, PNG, backend, gallery, pending, pieces, quick, stream, upload

__all__ = ["backend", "gallery", "quick"]


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
        await work.add(old)
        await work.commit()
    await quick.change(old.id, shorten)
    with pytest.raises(TooManyFilesError):
        await quick.change(old.id, lambda picture: (picture.details or []).append(*texts(b"5")))

    assert len(await quick.keys()) == 3


async def test_the_type_that_the_bytes_tell_is_kept(quick: Gallery) -> None:
    """A file that is declared as bytes, and whose name says nothing, is of the type that it is of."""
    identity = await quick.add(image=FileObject(filename="a", content_type="application/octet-stream", content=PNG))
    async with quick.work() as work:
        image = (await work.get(Picture, identity)).image

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
